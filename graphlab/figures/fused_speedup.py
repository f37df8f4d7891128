"""What fused attention speeds up: the whole generation, the attention alone, the attention module."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from graphlab.characterization.data import Characterization, ModelRun
from graphlab.figures.charts import FADED, colour, picks, quantity, tooltip
from graphlab.figures.ways import SCOPES, WAYS, attention_part
from graphlab.report.figure import Column, Figure, Value

WHOLE = "generation"
END_TO_END = "end to end"

COLUMNS = (
    Column("model", "model"),
    Column("family", "family", help="how the stage runs; of a generation, how its stepping stage does"),
    Column("stage", "stage", help=f"{WHOLE!r} for all stages together"),
    Column("scope", "what is timed", help="; ".join(f"{name}: {', '.join(parts)}" for name, parts in SCOPES.items())),
    Column("seconds_baseline", "time, scores in memory", "s", "of one generation", estimate=True),
    Column("seconds_fused", "time, fused attention", "s", "of one generation", estimate=True),
    Column("share_of_baseline", "share of the baseline's time", estimate=True),
    Column("speedup", "speedup", "x", "baseline over fused", estimate=True),
)


def fused_speedup(suite: Characterization) -> Figure:
    """Seconds with attention scores in memory over seconds with fused attention, by model, stage and scope."""
    rows = tuple(row for run in suite.models for row in _rows(suite, run))
    having = {row["model"] for row in rows if row["scope"] in SCOPES}
    without = [run.name for run in suite.models if run.name not in having]
    return Figure(
        name="fused-speedup",
        title="Speedup by fused attention",
        caption=(
            "Estimated speedup of one generation, of attention alone (products, mask, softmax), of the attention "
            "module (with its projections), and of attention with the layout changes that belong to it."
        ),
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=(*(f"{name} has no attention" for name in without), *_families(suite, rows)),
    )


def _rows(suite: Characterization, run: ModelRun) -> Iterator[Mapping[str, Value]]:
    groups = [suite.by(run, way.runtime, attention_part) for way in WAYS]
    yield from _scopes(run.name, run.family, WHOLE, groups)
    for stage in run.stages:
        if stage.run.first.attentions:
            times = [suite.time(run, stage, way.runtime).by(attention_part) for way in WAYS]
            yield from _scopes(run.name, stage.family, stage.name, times)


def _scopes(
    model: str, family: str, stage: str, groups: Sequence[Mapping[str, float]]
) -> Iterator[Mapping[str, Value]]:
    whole = [sum(group.values()) for group in groups]
    sums = {END_TO_END: whole}
    for scope, parts in SCOPES.items():
        sums[scope] = [sum(group.get(part, 0.0) for part in parts) for group in groups]
    if not sums["attention"][0]:
        sums = {END_TO_END: whole}
    for scope, (baseline, fused) in sums.items():
        yield {
            "model": model,
            "family": family,
            "stage": stage,
            "scope": scope,
            "seconds_baseline": baseline,
            "seconds_fused": fused,
            "share_of_baseline": baseline / whole[0] if whole[0] else None,
            "speedup": baseline / fused if fused else None,
        }


def _families(suite: Characterization, rows: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    """The attention module's speedup in diffusion against transformers that make images: what the paper compares."""
    makes = {run.name for run in suite.models if run.kind == "text-to-image"}
    found: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        speedup, family = row["speedup"], str(row["family"])
        images = row["model"] in makes and (family == "diffusion" or family.endswith("transformer"))
        if row["stage"] == WHOLE and row["scope"] == "attention module" and images and isinstance(speedup, float):
            found[family == "diffusion"].append(math.log(speedup))
    if not all(found.values()):
        return
    diffusion, transformer = (math.exp(sum(found[key]) / len(found[key])) for key in (True, False))
    yield (
        f"attention module, geometric mean over text-to-image models: diffusion {diffusion:.2f}x, transformers "
        f"{transformer:.2f}x, {diffusion / transformer:.2f} times as much (estimates)"
    )


_CHART = {
    "description": "Bars: estimated speedup by fused attention, one group a model, one bar a scope.",
    "transform": [{"filter": f"datum.stage === '{WHOLE}'"}],
    "params": picks("scope"),
    "mark": "bar",
    "encoding": {
        "y": {"field": "model", "type": "nominal", "title": None, "sort": None},
        "yOffset": {"field": "scope", "type": "nominal", "sort": [END_TO_END, *SCOPES]},
        "x": quantity("speedup", "baseline time / fused time (x)", format="~g"),
        "color": colour("scope", "what is timed", domain=(END_TO_END, *SCOPES)),
        "opacity": FADED,
        "tooltip": tooltip(COLUMNS, "model", "family", "scope", "seconds_baseline", "seconds_fused", "speedup"),
    },
}
