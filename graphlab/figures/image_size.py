"""Convolution against attention over image sizes: whose time grows faster, and where they cross."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphlab.characterization.data import Characterization
from graphlab.characterization.sweeps import Sweep, sweep_images
from graphlab.facts import known_sum
from graphlab.figures.charts import FADED, colour, facets, picks, quantity, tooltip
from graphlab.figures.crossings import crossings, exponent
from graphlab.figures.notes import NO_SWEEPS, distinct, places, why_empty
from graphlab.figures.ways import SCOPES, WAY_HELP, WAYS, Way, attention_part
from graphlab.kernels.data import Kernel
from graphlab.prediction.predict import predict
from graphlab.report.figure import Column, Figure, Value

PARTS = ("convolution", *SCOPES, "everything else")

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("side", "image side", "px"),
    Column("attention", "attention", help=WAY_HELP),
    Column("part", "part", help="attention is its products, mask and softmax; the module adds its projections"),
    Column("seconds", "time of one step's call", "s", estimate=True),
    Column("flops", "FLOPs", "FLOP", "of contractions, one call"),
    Column("exponent", "growth", "", "p of time ~ side^p since the size before", estimate=True),
    Column("crossover_side", "convolution = attention", "px", "first in the range; none where they do not cross"),
)


def image_size(suite: Characterization) -> Figure:
    """Seconds and FLOPs of one call of the denoiser by part, at square pictures of several sides."""
    sweeps = [(run.name, sweep_images(run)) for run in suite.models if suite.sweeps]
    rows: list[Mapping[str, Value]] = []
    notes = [] if suite.sweeps else [NO_SWEEPS]
    for name, sweep in sweeps:
        notes.extend(sweep.notes)
        for way in WAYS if sweep.points else ():
            found = _points(suite, sweep, way)
            sizes = [point.side for point in sweep.points]
            crossed = crossings(sizes, *([parts[name][0] for parts in found] for name in ("convolution", "attention")))
            rows.extend(_rows(name, sweep, way, found, crossed))
            if any(point["convolution"][0] for point in found) and any(point["attention"][0] for point in found):
                where = places(crossed, "px")
                span = f"{sweep.points[0].side} to {sweep.points[-1].side} px"
                notes.append(
                    f"{name}, {way.label} attention: convolution and attention take equal time {where} ({span})"
                )
    return Figure(
        name="image-size",
        title="Convolution and attention over image sizes",
        caption=(
            "Estimated time of one step of the denoiser by part, for square pictures. Crossovers are interpolated "
            "between the sizes around them on logarithmic axes; none is extrapolated."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
        notes=distinct(
            notes, why_empty(rows, "no model of the suite makes images whose size can change") if suite.sweeps else ()
        ),
    )


Parts = dict[str, tuple[float, int | None]]


def _points(suite: Characterization, sweep: Sweep, way: Way) -> list[Parts]:
    """{part: (seconds, FLOPs)} of one call at every size of `sweep`."""
    found = []
    for point in sweep.points:
        seconds = predict(point.call, suite.model, way.runtime).by(_group)
        flops: dict[str, list[int | None]] = {}
        for kernel in point.call.run(way.key):
            flops.setdefault(_group(kernel), []).append(kernel.flops if kernel.known else None)
        members = {
            "convolution": ("convolution",),
            **SCOPES,
            "everything else": ("other", "projection", "projection layout", "layout", "idle"),
        }
        found.append(
            {
                part: (
                    sum(seconds.get(name, 0.0) for name in names),
                    known_sum(amount for name in names for amount in flops.get(name, ())),
                )
                for part, names in members.items()
            }
        )
    return found


def _group(kernel: Kernel) -> str:
    part = attention_part(kernel)
    return "convolution" if part == "other" and kernel.category == "convolution" else part


def _rows(
    model: str, sweep: Sweep, way: Way, found: Sequence[Parts], crossed: Sequence[float]
) -> Iterator[Mapping[str, Value]]:
    for part in PARTS:
        before: tuple[float, float] | None = None
        for point, parts in zip(sweep.points, found, strict=True):
            seconds, flops = parts[part]
            if seconds <= 0:
                continue
            yield {
                "model": model,
                "stage": sweep.stage.name,
                "side": point.side,
                "attention": way.label,
                "part": part,
                "seconds": seconds,
                "flops": flops,
                "exponent": exponent((before[0], point.side), (before[1], seconds)) if before else None,
                "crossover_side": crossed[0] if crossed else None,
            }
            before = (point.side, seconds)


_CHART = {
    "description": "Lines on log axes, one panel a model: time of convolution and attention over the image side.",
    "transform": [{"filter": "datum.part === 'convolution' || datum.part === 'attention'"}],
    **facets(
        "model",
        3,
        {
            "params": picks("part"),
            "mark": {"type": "line", "point": True},
            "encoding": {
                "x": quantity("side", "image side (px)", log=True, format="d"),
                "y": quantity("seconds", "time of one call (s)", log=True),
                "color": colour("part", domain=("convolution", "attention")),
                "strokeDash": {"field": "attention", "type": "nominal", "title": "attention"},
                "opacity": FADED,
                "tooltip": tooltip(
                    COLUMNS, "model", "side", "attention", "part", "seconds", "flops", "exponent", "crossover_side"
                ),
            },
        },
        free=("x", "y"),
    ),
}
