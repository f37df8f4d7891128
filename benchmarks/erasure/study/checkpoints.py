"""Evaluates the checkpoints of a run, and each no further than a table reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from benchmarks.erasure.study.endpoint import bracket
from benchmarks.erasure.study.rows import Row, row_of, short_row_of
from benchmarks.erasure.study.runs import Run
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.evaluating import Images, evaluate
from graphlab.erase.evaluation.judging import judged
from graphlab.erase.evaluation.plan import Group, Plan, draw_plan, plan
from graphlab.erase.evaluation.result import Mean
from graphlab.erase.evaluation.subject import Subject, subject_of
from graphlab.erase.methods.running import Erased
from graphlab.erase.metrics.accuracy import recognised
from graphlab.erase.metrics.structure import structure_kept
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run, about one of its concepts; of several at once the end alone is compared.

    Every one is asked for the concept. What is kept is drawn where it is read: on both sides of the endpoint, by
    either judge, and at the end of a run that is reported.
    """

    base: Base
    erased: Erased
    concept: str
    also: tuple[str, ...]
    indices: tuple[int, ...]
    whole_end: bool
    judges: tuple[Judge, ...]
    config: EvaluationConfig

    @classmethod
    def of(
        cls, run: Run, base: Base, erased: Erased, concept: str, judges: Sequence[Judge], config: EvaluationConfig
    ) -> Checkpoints:
        """Those of `run` about `concept`."""
        also = tuple(name for name in run.concepts if name != concept)
        indices = tuple(range(len(erased.points)))
        at_once, tuned = run.stage == "several", run.stage == "tune"
        asked = indices[-1:] if at_once else indices
        return cls(base, erased, concept, also, asked, not tuned, tuple(judges), config)

    def rows(self, before: Images) -> list[Row]:
        """A row a checkpoint; `before` are the base's images."""
        asked = plan(self.base, self.concept, self.config, self.also)
        old = {judge.name: judged(judge, self.base.world, asked, before) for judge in self.judges}
        subjects = {index: self.erased.points[index].subject for index in self.indices}
        images = {index: self._of_concept(subject_of(subject), asked) for index, subject in subjects.items()}
        labels = asked["trained"].labels[:, -1]
        shares = {
            judge.name: {index: recognised(judge.labels(images[index])[:, -1], labels) for index in self.indices}
            for judge in self.judges
        }
        whole = {self.indices[-1]} if self.whole_end else set()
        for name, by_index in shares.items():
            values = [old[name].erased["trained"].value, *(share.value for share in by_index.values())]
            whole |= {self.indices[place] for place in bracket(values)}
        rows = []
        for index in self.indices:
            if index in whole:
                row = self._whole(index, before, images[index])
            else:
                kept = Mean.of(structure_kept(before["trained"], images[index]))
                row = short_row_of(self.concept, old, {name: shares[name][index] for name in shares}, kept)
            rows.append({**self._about(index), **row})
        return rows

    def _of_concept(self, subject: Subject, asked: Plan) -> torch.Tensor:
        return draw_plan(subject, {"trained": asked["trained"]}, self.base, self.config)["trained"]

    def _whole(self, index: int, before: Images, trained: torch.Tensor) -> Row:
        last = self.whole_end and index == self.indices[-1]
        config = self.config if last else replace(self.config, unseen_images=0)
        subject, also, judges = self.erased.points[index].subject, self.also, self.judges
        old = {group: before[group] for group in plan(self.base, self.concept, config, also)}
        new: dict[Group, torch.Tensor] = {"trained": trained}
        return row_of(evaluate(self.base, subject, self.concept, judges, config, also=also, before=old, after=new))

    def _about(self, index: int) -> Row:
        point = self.erased.points[index]
        return {
            "checkpoint": index,
            "iteration": point.iteration,
            "strength": point.strength,
            "evaluations": point.evaluations,
            "mask_evaluations": self.erased.mask_evaluations,
            "density": "" if self.erased.density is None else f"{self.erased.density:.6f}",
        }
