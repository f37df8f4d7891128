"""What erasing did to a base: `graphlab erase evaluate` of a base file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.evaluating import evaluate
from graphlab.erase.evaluation.plan import draw_plan, plan
from graphlab.erase.evaluation.result import Evaluation
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.jobs.comparison import Changed, changed_roles, changed_weights, outside
from graphlab.erase.jobs.drawing import Watched, drawing
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.pictures import before_after
from graphlab.erase.jobs.record import made_of
from graphlab.erase.jobs.train import mask_for
from graphlab.erase.sources.of_base import BaseSource
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.masking import masks_of
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.progress import OnProgress
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge


@dataclass(frozen=True)
class BaseReport:
    """An evaluation for every concept, and which weights changed; `outside` counts entries that a mask lets none
    change, None without a mask. `made` says what it was made of and with. `pictures` {concept: pixels} (height, width,
    3) uint8 show some images before and after, as `before_after` lays them out."""

    evaluations: tuple[Evaluation, ...]
    changes: tuple[Changed, ...]
    outside: int | None
    made: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the pictures, in values that JSON can write."""
        return {
            "made": dict(self.made),
            "evaluations": [found.to_dict() for found in self.evaluations],
            **changes_dict(self.changes, self.outside),
        }


@memory_told()
def evaluate_base(
    base: Base,
    erased: Base,
    concepts: Sequence[str],
    judges: Sequence[Judge],
    config: EvaluationConfig | None = None,
    *,
    mask: Path | None = None,
    on_progress: OnProgress | None = None,
) -> BaseReport:
    """Everything there is to say of `erased`, once `base`, from which `concepts` are gone, judged by `judges`.

    Of several concepts none is among those that are kept. EraseError for no concept or an unknown one, for models that
    are not one base before and after, and a mask of another base.
    """
    if not concepts:
        raise EraseError("which concept was erased?", hint="name it")
    source = BaseSource(base, base.config.world)
    for concept in concepts:
        source.phrases(concept)
    if base.config != erased.config or module_hash(base.encoder) != module_hash(erased.encoder):
        raise EraseError("the erased model is not made of this base: configuration or text encoder differ")
    other, how = BaseSource(erased, erased.config.world), config or EvaluationConfig()
    if 1 in (how.images, how.unseen_images):
        raise EraseError(
            "one image makes no interval", hint="draw two of the concept at least, seen and unseen phrases"
        )
    changes, beyond = changes_of(source, other, mask)
    named = tuple(dict.fromkeys(concepts))
    gone = {concept: [name for name in named if name != concept] for concept in named}
    plans = {concept: plan(base, concept, how, gone[concept]) for concept in named}
    images = sum(len(part.prompts) for asked in plans.values() for part in asked.values())
    drawn = drawing(2 * images, on_progress)
    found, pictures = [], {}
    for concept, asked in plans.items():
        old, new = (draw_plan(Watched(BaseSubject(model), drawn), asked, base, how) for model in (base, erased))
        found.append(evaluate(base, erased, concept, judges, how, also=gone[concept], before=old, after=new))
        pictures[concept] = before_after(asked, old, new)
    return BaseReport(tuple(found), changes, beyond, made_of(source, other, mask), pictures)


def changes_of(
    before: ErasureSource, after: ErasureSource, mask: Path | None
) -> tuple[tuple[Changed, ...], int | None]:
    """(rows of what changed, entries changed outside the mask in the file `mask`, None without one)."""
    masks = None if mask is None else masks_of(mask_for(before, mask), before.model.module)
    rows = changed_weights(before.model.module.state_dict(), after.model.module.state_dict(), masks)
    return rows, None if mask is None else outside(rows)


def changes_dict(rows: Sequence[Changed], beyond: int | None) -> dict[str, Any]:
    """Which weights changed, in values that JSON can write."""
    changed = {row.key: {"entries": row.entries, "changed": row.changed} for row in rows if row.changed}
    return {
        "changed": changed,
        "roles": [asdict(row) for row in changed_roles(rows)],
        "weights": len(rows),
        "changed_outside_mask": beyond,
    }
