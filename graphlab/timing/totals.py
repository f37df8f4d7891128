"""A whole generation: the stages added up, candidate by candidate."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.report.bench_data import CandidateBench, StageBench, Total
from graphlab.timing.stage import ratio
from graphlab.timing.statistics import bootstrap, spread


def totals(stages: Sequence[StageBench]) -> tuple[Total, ...]:
    """Seconds of all of `stages` with each candidate: their samples added round by round, so far as all have them.

    Stages were timed one after the other, so a round of the sum is no moment in time; its interval is as wide as those
    of the stages make it.
    """
    if not stages:
        return ()
    sums = {item.label: _sum(stages, item.label) for item in stages[0].candidates}
    base = next((label for label, samples in sums.items() if samples), None)
    return tuple(_total(stages, label, samples, sums[base] if base else None, label == base)
                 for label, samples in sums.items())  # fmt: skip


def _total(
    stages: Sequence[StageBench], label: str, samples: list[float], base: list[float] | None, is_base: bool
) -> Total:
    if not samples or base is None:
        return Total(label, None, None, None, False)
    estimate = any(times.estimate for stage in stages if (times := _of(stage, label).times) is not None)
    own = None if is_base else ratio(base, samples)
    return Total(label, spread(samples)[0], bootstrap(samples), own, estimate)


def _sum(stages: Sequence[StageBench], label: str) -> list[float]:
    """Seconds of every round; empty where a stage was not timed."""
    found = [times.samples for stage in stages if (times := _of(stage, label).times) is not None]
    if len(found) < len(stages):
        return []
    return [sum(row) for row in zip(*found, strict=False)]


def _of(stage: StageBench, label: str) -> CandidateBench:
    return next(item for item in stage.candidates if item.label == label)
