"""A model of cache hits: how often temporal and spatial attention find what they read in the first and second cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.characterization.data import Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, colour, picks, tooltip
from graphlab.figures.notes import distinct, why_empty
from graphlab.graph import DTYPE_BYTES
from graphlab.hardware import Execution
from graphlab.kernels.data import Kernel
from graphlab.prediction.locality import hit_rate, operand_loads
from graphlab.report.figure import Column, Figure, Value

AXES = ("spatial", "temporal")
KINDS = {"contraction": "products", "softmax": "softmax", "pointwise": "mask", "movement": "layout changes"}

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("axis", "axis", help="of the attention the kernels belong to"),
    Column("kernels", "kernels"),
    Column("level", "cache"),
    Column("accesses", "accesses", help="elements read in one call"),
    Column("share_hit", "hit rate", help="of the accesses that reach this cache; a model", estimate=True),
    Column("share_served", "served by it or a nearer one", help="of all accesses; a model", estimate=True),
)


def cache_hits(suite: Characterization) -> Figure:
    """Modelled hit rates of temporal and spatial attention, scores in memory, by kind of kernel."""
    execution = suite.hardware.execution
    stages = [(run, stage) for run in suite.models for stage in run.stages if _temporal(stage)]
    rows: list[Mapping[str, Value]] = []
    if execution is not None:
        rows = [row for run, stage in stages for row in _rows(run, stage, execution)]
    unknown = f"{suite.hardware.name} has no [execution] table: the sizes of its caches are not known"
    return Figure(
        name="cache-hits",
        title="Cache hits of temporal and spatial attention (a model)",
        caption=(
            "A model, not a measurement: each byte is used once; a run of contiguous bytes is fetched in sectors, and "
            "the rest of a sector is found again if no more runs lie between than half the cache has sectors. Output "
            "tiles of a product load their operands anew, from the second cache when another tile had them. What "
            "kernels leave to the next, conflicts and prefetching are not modelled."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
        notes=distinct(
            [] if execution is not None else [unknown],
            [] if stages else ["no model of the suite has temporal attention"],
            why_empty(rows, "there is nothing to model"),
            _alike(rows),
        ),
    )


def _alike(rows: list[Mapping[str, Value]]) -> Iterator[str]:
    """Which kernels the model cannot tell apart: those whose operands lie in memory in the order they are read."""
    rates: dict[str, set[tuple[Value, Value]]] = {}
    for row in rows:
        rates.setdefault(str(row["kernels"]), set()).add((row["level"], row["share_served"]))
    alike = [kind for kind, found in rates.items() if len({share for _, share in found}) == 1]
    if alike:
        yield (f"{', '.join(alike)}: read front to back on both axes, so the model gives them equal rates")


def _temporal(stage: StageSeries) -> bool:
    return any(attention.axis == "temporal" for attention in stage.run.first.attentions)


def _rows(run: ModelRun, stage: StageSeries, execution: Execution) -> Iterator[Mapping[str, Value]]:
    sums: dict[tuple[str, str], list[float]] = {}
    for kernel in stage.run.first.run("materialized"):
        kind = _kind(kernel)
        if kind is not None and kernel.bytes_read:
            total = sums.setdefault((kernel.axis, kind), [0.0, 0.0, 0.0])
            for place, value in enumerate(_accesses(kernel, execution)):
                total[place] += value
    for (axis, kind), (accesses, near, far) in sorted(sums.items()):
        levels = (("L1", near / accesses, near / accesses), ("L2", _beyond(accesses, near, far), far / accesses))
        for level, hit, served in levels:
            yield {
                "model": run.name,
                "stage": stage.name,
                "axis": axis,
                "kernels": kind,
                "level": level,
                "accesses": round(accesses),
                "share_hit": hit,
                "share_served": served,
            }


def _kind(kernel: Kernel) -> str | None:
    """Which kernels of an attention `kernel` is one of; None for one of no attention over a single known axis."""
    if kernel.axis not in AXES or kernel.category not in ("attention", "movement"):
        return None
    return KINDS.get(kernel.family)


def _accesses(kernel: Kernel, execution: Execution) -> tuple[float, float, float]:
    """(elements read, of them served by L1, of them served by L1 or L2); what is not strided is read front to back,
    and tiles of a product find in the second cache what an earlier tile of it loaded."""
    size, unit = DTYPE_BYTES[kernel.dtype], execution.sector_bytes
    if kernel.contraction is not None:
        loads, distinct_elements = operand_loads(kernel.contraction)
        return loads, loads * (1 - size / unit), loads - distinct_elements * size / unit
    moved = min(kernel.strided.nbytes, kernel.bytes_read) if kernel.strided is not None else 0
    ordered, strided = (kernel.bytes_read - moved) / size, moved / size
    served = []
    for capacity in (execution.l1_bytes / 2, execution.l2_bytes / 2):
        in_order, out_of_order = (hit_rate(reads, unit, capacity, size) for reads in (None, kernel.strided))
        served.append(ordered * in_order + strided * out_of_order)
    return ordered + strided, served[0], max(served)


def _beyond(accesses: float, near: float, far: float) -> float | None:
    """Hit rate of the second cache among what the first one misses."""
    return (far - near) / (accesses - near) if accesses > near else None


_CHART = {
    "description": "Bars: modelled hit rate of the first and second cache by kind of kernel, temporal against spatial.",
    "params": picks("axis"),
    "mark": "bar",
    "encoding": {
        "y": {"field": "model", "type": "nominal", "title": None, "sort": None},
        "yOffset": {"field": "axis", "type": "nominal", "sort": list(AXES)},
        "x": {
            "field": "share_served", "type": "quantitative", "title": "accesses served (a model)",
            "axis": {"format": "%"}, "scale": {"domain": [0, 1]},
        },
        "color": colour("axis", domain=AXES),
        "opacity": FADED,
        "row": {"field": "level", "type": "nominal", "title": "up to and including"},
        "column": {"field": "kernels", "type": "nominal", "title": None, "sort": list(KINDS.values())},
        "tooltip": tooltip(
            COLUMNS, "model", "stage", "axis", "kernels", "level", "accesses", "share_hit", "share_served"
        ),
    },
}  # fmt: skip
