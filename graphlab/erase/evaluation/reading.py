"""Evaluations from their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.result import Evaluation, Judged, KernelDistances, Mean
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.drift import DriftBin
from graphlab.erase.training.strict import read
from graphlab.report.decoding import decode


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a judge says, as the JSON has it; shares hold what is worked out of them too."""

    acc_e: Mapping[str, Share]
    valid: Mapping[str, Share]
    replaced: Mapping[str, Mapping[str, Share]]
    acc_p_by_class: Mapping[str, Share]
    others: Mapping[str, Mapping[str, Share]]


@dataclass(frozen=True, slots=True)
class _Sides:
    """What judges say before and after, as the JSON has it."""

    before: Mapping[str, _Judged]
    after: Mapping[str, _Judged]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """An evaluation as the JSON has it."""

    world: str
    concept: str
    also: tuple[str, ...]
    config: Any
    before: Mapping[str, _Judged]
    after: Mapping[str, _Judged]
    structure: Mapping[str, Mean]
    distance: KernelDistances | None
    drift: Mapping[str, tuple[DriftBin, ...]]


def evaluation_of(data: Any, where: str) -> Evaluation:
    """What `Evaluation.to_dict` wrote as `data`, at the path `where` of its file; GraphlabError for anything else."""
    found = decode(_Evaluation, data, where)
    before, after = judged_pair(found.before, found.after, where)
    return Evaluation(
        world=found.world,
        concept=found.concept,
        also=found.also,
        config=read(EvaluationConfig, found.config, f"{where}.config"),
        before=before,
        after=after,
        structure=found.structure,  # type: ignore[arg-type]  # JSON's keys are texts, of which groups are some
        distance=found.distance,
        drift=found.drift,
    )


def read_judged(data: dict[str, Any]) -> tuple[tuple[Judged, ...], tuple[Judged, ...]]:
    """(before, after) of a report with these keys, each as `judged_dict` wrote it; GraphlabError for anything else."""
    found = decode(_Sides, data)
    return judged_pair(found.before, found.after, "")


def judged_pair(
    before: Mapping[str, _Judged], after: Mapping[str, _Judged], where: str
) -> tuple[tuple[Judged, ...], tuple[Judged, ...]]:
    """What each judge says (before, after); EraseError where the two were not asked the same."""
    if list(before) != list(after):
        raise EraseError(f"{where or 'the report'} has other judges before than after")
    for judge, old in before.items():
        if _asked(old) != _asked(after[judge]):
            raise EraseError(f"{where or 'the report'}: {judge} was asked otherwise before than after")
    first, second = (tuple(_judged(judge, part) for judge, part in side.items()) for side in (before, after))
    return first, second


def _asked(part: _Judged) -> tuple[object, ...]:
    """What a judge was asked: of which phrases, classes and attributes."""
    others = {attribute: list(shares) for attribute, shares in part.others.items()}
    return list(part.acc_e), list(part.valid), list(part.replaced), list(part.acc_p_by_class), others


def _judged(judge: str, part: _Judged) -> Judged:
    values: Any = (part.acc_e, part.valid, part.replaced, part.acc_p_by_class, part.others)  # groups are texts here
    return Judged(judge, *values)
