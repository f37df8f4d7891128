"""Parameters, compute, memory and latency of the models against each other: which are dominated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphlab.characterization.data import Characterization, ModelRun
from graphlab.facts import known_sum
from graphlab.figures.charts import FADED, colour, picks, quantity, tooltip
from graphlab.figures.notes import why_empty
from graphlab.figures.ways import WAY_HELP, WAYS, Way
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("kind", "kind"),
    Column("family", "family"),
    Column("attention", "attention", help=WAY_HELP),
    Column("parameters", "parameters", help="weights that stages share once"),
    Column("flops", "FLOPs", "FLOP", "of contractions, one generation"),
    Column("bytes", "bytes moved", "B", "one generation"),
    Column("memory_bytes", "memory", "B", "all weights and the largest activations of any call"),
    Column("seconds", "latency", "s", "one generation", estimate=True),
    Column("dominated_parameters", "dominated in parameters and latency", help="by a model of its kind", estimate=True),
    Column("dominated_memory", "dominated in memory and latency", help="by a model of its kind", estimate=True),
)


def pareto(suite: Characterization) -> Figure:
    """One row a model and way of attention; a model is compared with those of its kind alone."""
    rows: list[dict[str, Value]] = []
    for way in WAYS:
        rows.extend(_row(suite, run, way) for run in suite.models)
    for row in rows:
        peers = [other for other in rows if (other["kind"], other["attention"]) == (row["kind"], row["attention"])]
        for key, cost in (("dominated_parameters", "parameters"), ("dominated_memory", "memory_bytes")):
            row[key] = dominated(_point(row, cost), [_point(peer, cost) for peer in peers])
    return Figure(
        name="pareto",
        title="Parameters, compute, memory and latency",
        caption=(
            "Every model at its own resolution and number of steps. A model is dominated when another of its kind is "
            "at most as large and as slow, and smaller or faster; the quality of what it makes is not in the picture."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
        notes=(*why_empty(rows, "the suite has no models"), *_alone(suite.models)),
    )


def dominated(point: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether one of `others` is nowhere larger than `point` and smaller somewhere."""
    return any(a <= point[0] and b <= point[1] and (a, b) != point for a, b in others)


def _point(row: Mapping[str, Value], cost: str) -> tuple[float, float]:
    return float(row[cost] or 0), float(row["seconds"] or 0)


def _row(suite: Characterization, run: ModelRun, way: Way) -> dict[str, Value]:
    return {
        "model": run.name,
        "kind": run.kind,
        "family": run.family,
        "attention": way.label,
        "parameters": run.parameters,
        "flops": known_sum(stage.run.flops for stage in run.stages),
        "bytes": run.total(lambda call: call.bytes[way.key]),
        "memory_bytes": run.weight_bytes + run.peak_bytes(way.key),
        "seconds": suite.seconds(run, way.runtime),
    }


def _alone(models: Sequence[ModelRun]) -> Iterator[str]:
    kinds = [run.kind for run in models]
    for kind in dict.fromkeys(kinds):
        if kinds.count(kind) == 1:
            yield f"one {kind} model: nothing can dominate it"


def _panel(key: str, title: str, flag: str) -> dict[str, object]:
    return {
        "width": 280,
        "height": 240,
        "layer": [
            {
                "params": picks("family") if key == "parameters" else [],
                "mark": {"type": "point", "filled": True},
                "encoding": {
                    "x": quantity(key, title, log=True),
                    "y": quantity("seconds", "latency (s)", log=True),
                    "color": colour("family"),
                    "shape": {"field": "kind", "type": "nominal", "title": "kind"},
                    "size": {"condition": {"test": f"datum.{flag}", "value": 40}, "value": 140},
                    "opacity": FADED,
                    "tooltip": tooltip(
                        COLUMNS, "model", "kind", "parameters", "flops", "bytes", "memory_bytes", "seconds",
                        "dominated_parameters", "dominated_memory",
                    ),
                },
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 8, "fontSize": 9},
                "transform": [{"filter": f"!datum.{flag} && datum.attention === 'fused'"}],
                "encoding": {
                    "x": quantity(key, title, log=True),
                    "y": quantity("seconds", "latency (s)", log=True),
                    "text": {"field": "model", "type": "nominal"},
                },
            },
        ],
    }  # fmt: skip


_CHART = {
    "description": "Scatter on log axes, two panels: latency over parameters and memory; large: not dominated.",
    "hconcat": [
        _panel("parameters", "parameters", "dominated_parameters"),
        _panel("memory_bytes", "memory (B)", "dominated_memory"),
    ],
}
