"""A RewriteResult as rows of a report: figures before and after, changes, and what stayed, grouped."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graphlab.facts import known_sum
from graphlab.graph import Graph
from graphlab.masks.merge import MaskRow
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.rewrite_data import (
    ChangedValue,
    ChangeRow,
    DriftRow,
    KeptRow,
    MaskedWeight,
    PartRow,
    PassRow,
    ProgramFigures,
    ReuseRow,
    SkipGroup,
    SplitRow,
    StageRewrite,
    TensorRow,
    VerificationRow,
    pattern,
)
from graphlab.rewriting.change import Change, Skip
from graphlab.rewriting.difference import regions
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.saving import holds_weights
from graphlab.sources.module import saved_history

if TYPE_CHECKING:
    from graphlab.hoisting.result import PartCost
    from graphlab.reuse.result import Drift
    from graphlab.verification.result import Verification

ORIGINAL = "the program given"
SPLIT = "the program that was split"
FRESH = "the program whole, where the features are of the same step"


def stage_account(
    name: str,
    before: Program,
    result: RewriteResult,
    sizes: Mapping[str, int],
    *,
    packed: Mapping[str, tuple[str, ...]] | None = None,
    diff: bool = False,
    output: Path | None = None,
    notes: Sequence[str] = (),
    inexact: Collection[str] = (),
) -> StageRewrite:
    """What `result`, a rewrite of `before`, did to the stage `name`, with figures at `sizes` ({symbol: size}).

    `packed` binds axes that data flow cannot see; `output` is where the program is about to be written; `inexact` are
    the names of the passes that mean to change values.
    """
    assert result.program.exported is not None
    at = {symbol: sizes[symbol] for symbol in before.graph.symbols}
    return StageRewrite(
        name=name,
        symbols=at,
        before=figures(Facts(before.graph, at, packed)),
        after=figures(Facts(result.program.graph, at, packed)),
        passes=_pass_rows(result, inexact),
        changes=tuple(map(_change_row, result.changes)),
        skips=grouped_skips(result.skips),
        new_tensors=tuple(TensorRow(made.key, made.nbytes, made.origins) for made in result.held),
        dropped=_dropped(before.graph, result.dropped),
        history=result.program.history or saved_history(result.program.exported),
        holds_weights=holds_weights(result.program),
        masks=tuple(_masked(row) for name, rows in result.details if name == "apply-weight-mask" for row in rows),
        verification=_verification_row(result),
        diff=regions(before, result) if diff else None,
        split=_split_row(result),
        output=str(output) if output is not None else None,
        notes=tuple(notes),
        reuse=_reuse_row(result),
    )


def figures(facts: Facts) -> ProgramFigures:
    """The figures of one call at the sizes of `facts`."""
    costs, graph = facts.result("cost"), facts.graph
    sites = facts.result("attention")
    fused = sum(site.fused for site in sites)
    return ProgramFigures(
        nodes=len(graph.calls),
        flops=known_sum(cost.flops for cost in costs.values()),
        pointwise_flops=known_sum(cost.pointwise_flops for cost in costs.values()),
        bytes=sum(cost.bytes for cost in costs.values()),
        attention_fused=fused,
        attention_spelled=len(sites) - fused,
        weight_bytes=sum(_weights(graph).values()),
        unknown=sum(cost.flops is None for cost in costs.values()),
        peak_bytes=facts.result("memory")["spelled"].peak_bytes,
        operators=_operators(graph),
    )


def _operators(graph: Graph) -> dict[str, int]:
    """{op: calls}, the most frequent first, equals by name."""
    counts = Counter(node.target for node in graph.calls)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _weights(graph: Graph) -> dict[str, int]:
    """{key: bytes} of the weights of `graph`, tied ones once a key."""
    return {node.target: int(node.out.nbytes) for node in graph.weights}


def _pass_rows(result: RewriteResult, inexact: Collection[str]) -> tuple[PassRow, ...]:
    changes = Counter(change.pass_name for change in result.changes)
    skips = Counter(skip.pass_name for skip in result.skips)
    return tuple(
        PassRow(name, changes[name], skips[name], seconds, name not in inexact) for name, seconds in result.seconds
    )


def _change_row(change: Change) -> ChangeRow:
    values = tuple(ChangedValue(old, new) for old, new in change.values)
    return ChangeRow(change.pass_name, change.why, change.module, change.source, values)


def grouped_skips(skips: Sequence[Skip]) -> tuple[SkipGroup, ...]:
    """`skips` by pass, reason and pattern of the module, in the order of the first of each, whose reason is shown."""
    found: dict[tuple[str, str, str], list[Skip]] = {}
    for skip in skips:
        found.setdefault((skip.pass_name, _nameless(skip.why), pattern(skip.module)), []).append(skip)
    return tuple(
        SkipGroup(name, group[0].why, module, group[0].source, tuple(skip.node for skip in group))
        for (name, _, module), group in found.items()
    )


def _nameless(why: str) -> str:
    """`why` without the numbers of nodes ("linear_5 is read elsewhere")."""
    return re.sub(r"(?<=[a-z])_\d+\b", "", why)


def _dropped(graph: Graph, keys: Sequence[str]) -> tuple[TensorRow, ...]:
    nbytes = _weights(graph)
    return tuple(TensorRow(key, nbytes.get(key, 0), ()) for key in keys)


def _verification_row(result: RewriteResult) -> VerificationRow | None:
    if result.verification is None:
        return None
    inexact = dict.fromkeys(change.pass_name for change in result.changes if result.base is not None)
    base = ORIGINAL if result.base is None else f"the program after {next(iter(inexact), 'what changes weights')}"
    return _row_of(result.verification, base)


def _row_of(found: Verification, base: str) -> VerificationRow:
    return VerificationRow(
        mode=found.mode,
        base=base,
        bindings=tuple(dict(item) for item in found.bindings),
        worst_float64=_finite(found.worst_float64),
        worst_model=_finite(found.worst_model),
        own_error=_finite(found.own_error),
        compared=found.compared,
        distinct=found.distinct,
        complete=found.complete,
        unchecked=found.unchecked,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _masked(row: MaskRow) -> MaskedWeight:
    return MaskedWeight(
        key=row.key,
        shape=row.shape,
        entries=row.entries,
        set_entries=row.set_entries,
        density=row.density,
        changed_entries=row.changed_entries,
        max_abs_change=_finite(row.max_abs_change),
        ignored_entries=row.ignored_entries,
    )


def _split_row(result: RewriteResult) -> SplitRow | None:
    found = result.hoisted
    if found is None:
        return None
    report = found.report
    if not found.modified or report is None:
        return SplitRow(found.reason, found.invariant, found.schedule)
    costs = {"before": report.before, "prologue": report.prologue, "table": report.table, "step": report.step}
    return SplitRow(
        reason="",
        invariant=found.invariant,
        schedule=found.schedule,
        parts=_part_rows(costs),
        parameters_left=report.parameters_left,
        parameters_share=report.parameters_share,
        shared_weight_bytes=report.shared_weight_bytes,
        boundary_bytes=report.boundary_bytes,
        row_bytes=report.row_bytes,
        verification=_row_of(found.verification, SPLIT) if found.verification is not None else None,
    )


def _part_rows(costs: Mapping[str, PartCost | None]) -> tuple[PartRow, ...]:
    return tuple(
        PartRow(part, cost.nodes, cost.flops, cost.pointwise_flops, cost.weight_bytes, cost.parameters, cost.unknown)
        for part, cost in costs.items()
        if cost is not None
    )


def _reuse_row(result: RewriteResult) -> ReuseRow | None:
    found = result.reused
    if found is None:
        return None
    report, drift = found.report, found.drift
    if report is None:
        return ReuseRow(found.reason, found.every)
    return ReuseRow(
        reason="",
        every=found.every,
        parts=_part_rows({"before": report.before, "refresh": report.refresh, "reuse": report.reuse}),
        kept=tuple(KeptRow(item.name, item.module, item.nbytes) for item in found.kept),
        steps=report.steps,
        refreshes=report.refreshes if report.steps is not None else None,
        flops_before=report.flops_before,
        flops_after=report.flops_after,
        verification=_row_of(found.verification, FRESH) if found.verification is not None else None,
        drift=_drift_row(drift) if drift is not None else None,
    )


def _drift_row(drift: Drift) -> DriftRow:
    return DriftRow(drift.age, drift.steps, drift.places, tuple(map(_finite, drift.differences)), drift.weights)
