"""Roofline: every stage of every model by arithmetic intensity and achieved rate, under the roofs of the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphlab.characterization.data import FAMILIES, Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, picks, quantity, tooltip, way_colour
from graphlab.figures.ways import WAY_HELP, WAYS, Way
from graphlab.hardware import Hardware
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("kind", "kind", help="a stage, or a point of a roof of the device"),
    Column("model", "model"),
    Column("stage", "stage"),
    Column("family", "family", help="prefill and decode of a language model, diffusion, transformers, one pass"),
    Column("attention", "attention", help=WAY_HELP),
    Column("dtype", "dtype", help="of the stage, or of the peak behind a roof"),
    Column("flops", "FLOPs", "FLOP", "of contractions, one generation"),
    Column("bytes", "bytes moved", "B", "one generation"),
    Column("intensity", "arithmetic intensity", "FLOP/B"),
    Column("seconds", "time", "s", "one generation, waits for the host among it", estimate=True),
    Column("busy_seconds", "busy time", "s", "of it, seconds the device works", estimate=True),
    Column("flop_per_s", "rate", "FLOP/s", "FLOPs over time; of a roof, what it allows", estimate=True),
    Column("roof_bound", "roof above it", help="what bounds a perfect device at this intensity"),
)
_EMPTY: dict[str, Value] = {column.key: None for column in COLUMNS}


def roofline(suite: Characterization) -> Figure:
    """One point a stage and way of attention, and the roofs of the device for the dtypes that occur."""
    points = [point for run in suite.models for stage in run.stages for point in _points(suite, run, stage)]
    roofs = list(_roofs(suite.hardware, points))
    return Figure(
        name="roofline",
        title=f"Roofline of {suite.hardware.title}",
        caption=(
            "Arithmetic intensity against estimated rate over one generation. Intensity counts the bytes of the cost "
            "model; roofs are the published peak of each dtype and the published bandwidth."
        ),
        columns=COLUMNS,
        rows=(*points, *roofs),
        chart=_CHART if points else None,
        notes=(*_missing(suite), *_spread(points)),
    )


def _points(suite: Characterization, run: ModelRun, stage: StageSeries) -> Iterator[dict[str, Value]]:
    flops, dtype = stage.run.flops, stage.run.first.dtype
    if not flops:
        return
    for way in WAYS:
        time, moved = suite.time(run, stage, way.runtime), _moved(stage, way)
        roof = (suite.hardware.peak(dtype) or suite.hardware.peak_flops["float32"]) / suite.hardware.bandwidth
        yield {
            "kind": "stage",
            "model": run.name,
            "stage": stage.name,
            "family": stage.family,
            "attention": way.label,
            "dtype": dtype,
            "flops": flops,
            "bytes": moved,
            "intensity": flops / moved,
            "seconds": time.seconds,
            "busy_seconds": time.busy,
            "flop_per_s": flops / time.seconds,
            "roof_bound": "compute" if flops / moved >= roof else "memory",
        }


def _moved(stage: StageSeries, way: Way) -> int:
    return stage.run.total(lambda call: call.bytes[way.key])


def _roofs(hardware: Hardware, points: Sequence[Mapping[str, Value]]) -> Iterator[dict[str, Value]]:
    """Three points a roof: on the bandwidth line, its ridge, on the peak; left and right of every stage."""
    reached = [float(point["intensity"] or 0) for point in points]
    used = list(dict.fromkeys(str(point["dtype"]) for point in points))
    if "float32" in used and "tf32" in hardware.peak_flops:
        used.append("tf32")
    for dtype in used:
        peak = hardware.peak_flops["tf32"] if dtype == "tf32" else hardware.peak(dtype)
        if peak is None:
            continue
        ridge = peak / hardware.bandwidth
        for place in (min(*reached, ridge) / 2, ridge, max(*reached, ridge) * 2):
            rate = min(peak, place * hardware.bandwidth)
            bound = "compute" if place >= ridge else "memory"
            yield {
                **_EMPTY,
                "kind": "roof",
                "dtype": dtype,
                "intensity": place,
                "flop_per_s": rate,
                "roof_bound": bound,
            }


def _missing(suite: Characterization) -> Iterator[str]:
    dtypes = dict.fromkeys(stage.run.first.dtype for run in suite.models for stage in run.stages)
    for dtype in dtypes:
        if suite.hardware.peak(dtype) is None:
            yield f"{suite.hardware.name} has no published peak for {dtype}: no roof is drawn, float32's bounds it"
    for run in suite.models:
        for stage in run.stages:
            if stage.run.flops is None:
                yield f"{run.name} {stage.name} has no call with a rule, and so no intensity that is known"
            elif not stage.run.flops:
                yield f"{run.name} {stage.name} computes no contraction and has no intensity"


def _spread(points: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    """Diffusion's intensity over that of language decoding, fused: the ratio the paper speaks of."""
    found: dict[str, list[float]] = {}
    for point in points:
        if point["attention"] == "fused":
            found.setdefault(str(point["family"]), []).append(float(point["intensity"] or 0))
    if {"diffusion", "language decode"} <= found.keys():
        ratios = [diffusion / max(found["language decode"]) for diffusion in found["diffusion"]]
        ends = dict.fromkeys(f"{ratio:.1f}" for ratio in (min(ratios), max(ratios)))
        yield (
            f"diffusion stages have {' to '.join(ends)} times the arithmetic intensity of language decoding, over a "
            "generation (fused attention)"
        )


_CHART = {
    "description": "Scatter on log axes: rate over arithmetic intensity, one mark a stage, below the device's roofs.",
    "layer": [
        {
            "transform": [{"filter": "datum.kind === 'roof'"}],
            "mark": {"type": "line", "color": "#555555"},
            "encoding": {
                "x": quantity("intensity", "arithmetic intensity (FLOP/B)", log=True),
                "y": quantity("flop_per_s", "FLOP/s", log=True),
                "strokeDash": {"field": "dtype", "type": "nominal", "title": "roof"},
                "tooltip": tooltip(COLUMNS, "dtype", "intensity", "flop_per_s"),
            },
        },
        {
            "transform": [{"filter": "datum.kind === 'stage'"}],
            "params": picks("family"),
            "mark": {"type": "point", "filled": True, "size": 60},
            "encoding": {
                "x": quantity("intensity", "arithmetic intensity (FLOP/B)", log=True),
                "y": quantity("flop_per_s", "FLOP/s", log=True),
                "shape": {"field": "family", "type": "nominal", "title": "family", "sort": list(FAMILIES)},
                "color": way_colour(),
                "opacity": FADED,
                "tooltip": tooltip(
                    COLUMNS, "model", "stage", "family", "attention", "dtype", "intensity", "flop_per_s", "seconds"
                ),
            },
        },
    ],
}
