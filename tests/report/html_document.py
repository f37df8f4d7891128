"""A report written by hand for the tests of the HTML page: one chart of each kind the page treats differently."""

from __future__ import annotations

from graphlab.report.figure import Column, Figure
from graphlab.report.html import Document, PlainTable, Section

HOSTILE = "</script><img src=x onerror=\"document.title='broken'\"> & 'quoted' \u202e\u00fcn\u00efcode </noscript>"
MODELS = ("Stable Diffusion", "Imagen", "Muse", "Parti", HOSTILE)
CATEGORIES = ("attention", "convolution", "linear", "normalization", "pointwise", "movement", "idle")


def breakdown() -> Figure:
    """Facets under one another, baseline and fused: the script sets the width."""
    columns = (
        Column("model", "model"),
        Column("attention", "attention", help="scores in memory (baseline), or one fused kernel"),
        Column("category", "category"),
        Column("seconds", "time", "s", "of one generation", estimate=True),
        Column("share", "share of baseline", estimate=True),
    )
    rows = []
    for place, model in enumerate(MODELS):
        weights = [1 + (3 * place + 5 * index) % 7 for index in range(len(CATEGORIES))]
        for kind, factor in (("baseline", 1.0), ("fused", 0.3)):
            for category, weight in zip(CATEGORIES, weights, strict=True):
                part = weight / sum(weights) * (factor if category == "attention" else 1.0)
                seconds = 10 ** (place - 2) * part / 3
                row = {"model": model, "attention": kind, "category": category, "seconds": seconds, "share": part}
                rows.append(row)
    chart = {
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "y": {"field": "attention", "type": "nominal", "title": None},
            "x": {"field": "share", "type": "quantitative", "axis": {"format": "%"}, "title": "share of baseline time"},
            "color": {"field": "category", "type": "nominal", "title": None},
            "row": {
                "field": "model", "type": "nominal", "title": None,
                "header": {"labelAngle": 0, "labelAlign": "left", "labelLimit": 110},
            },
        },
    }  # fmt: skip
    return Figure(
        "breakdown", "Operator-time breakdown", "Time of one generation by category.", columns, tuple(rows), chart
    )


def growth() -> Figure:
    """Lines on logarithmic axes with a legend that hides models: the width of the page."""
    columns = (
        Column("model", "model"),
        Column("side", "image side", "px"),
        Column("flops", "FLOP", "FLOP", "of one denoising step"),
        Column("peak", "peak memory", "B", "scores included", estimate=True),
    )
    rows = tuple(
        {"model": model, "side": side, "flops": (place + 2) * side**2 * 4096 + side**4, "peak": side**2 * 4001}
        for place, model in enumerate(MODELS)
        for side in (64, 128, 256, 512, 1024)
    )
    chart = {
        "description": "FLOP of a step over the image side, a line a model, both axes logarithmic.",
        "params": [{"name": "kept", "select": {"type": "point", "fields": ["model"]}, "bind": "legend"}],
        "mark": {"type": "line", "point": True},
        "height": 320,
        "encoding": {
            "x": {"field": "side", "type": "quantitative", "scale": {"type": "log", "base": 2}, "title": "side (px)"},
            "y": {"field": "flops", "type": "quantitative", "scale": {"type": "log"}, "axis": {"format": "~s"}},
            "color": {"field": "model", "type": "nominal", "title": None},
            "opacity": {"condition": {"param": "kept", "value": 1}, "value": 0.15},
        },
    }  # fmt: skip
    notes = ("Sides below 64 are not evaluated.",)
    return Figure("growth", "FLOP over image size", "How a step grows.", columns, rows, chart, notes)


def operators() -> Figure:
    """A scatter of more rows than a table draws at once, with unknown values."""
    columns = (
        Column("name", "operator"),
        Column("intensity", "intensity", "FLOP/B"),
        Column("rate", "rate", "FLOP/s", estimate=True),
        Column("calls", "calls"),
        Column("bound", "memory-bound"),
    )
    rows = tuple(
        {
            "name": f"op {index}",
            "intensity": 0.25 * 1.006**index,
            "rate": None if index % 97 == 5 else 1e9 * (1 + (index * 7919) % 1000),
            "calls": index * 37 % 5000,
            "bound": index < 800,
        }
        for index in range(1500)
    )
    chart = {
        "mark": {"type": "circle", "opacity": 0.6},
        "encoding": {
            "x": {"field": "intensity", "type": "quantitative", "scale": {"type": "log"}, "title": "FLOP / B"},
            "y": {"field": "rate", "type": "quantitative", "axis": {"format": "~s"}, "title": "FLOP/s"},
            "color": {"field": "bound", "type": "nominal", "title": "memory-bound"},
        },
    }
    return Figure("operators", "Operators on the roofline", "An operator a point.", columns, rows, chart)


def grid() -> Figure:
    """Facets side by side: as wide as they are, in a box that scrolls; and a second figure of a taken name."""
    columns = (Column("side", "side", "px"), Column("level", "level"), Column("length", "tokens", "token"))
    rows = tuple(
        {"side": side, "level": level, "length": side * side // 64 // 4**level}
        for side in (256, 512, 768)
        for level in range(4)
    )
    chart = {
        "mark": "bar",
        "width": 220,
        "encoding": {
            "x": {"field": "level", "type": "ordinal"},
            "y": {"field": "length", "type": "quantitative"},
            "column": {"field": "side", "type": "nominal"},
        },
    }
    return Figure("growth", "Sequence lengths by level", "One panel an image size.", columns, rows, chart)


def panels() -> Figure:
    """Facets in rows of three: as many beside each other as the page is wide."""
    lines = growth()
    assert lines.chart is not None
    inner = {"width": 220, "height": 120, **{key: lines.chart[key] for key in ("mark", "encoding")}}
    inner["encoding"] = {key: inner["encoding"][key] for key in ("x", "y")}
    chart = {"facet": {"field": "model", "type": "nominal", "title": None}, "columns": 3, "spec": inner}
    return Figure("panels", "FLOP, a panel a model", "The same numbers apart.", lines.columns, lines.rows, chart)


def empty() -> Figure:
    """A figure that could not be made, and says why."""
    columns = (Column("model", "model"), Column("seconds", "time", "s"))
    notes = ("No model of this run has temporal attention.",)
    return Figure("temporal", "Temporal attention", "Time over frames.", columns, (), {"mark": "bar"}, notes)


def without_chart() -> Figure:
    """A figure that is a table alone."""
    columns = (Column("device", "device"), Column("bandwidth", "bandwidth", "B/s"))
    rows = ({"device": "A100", "bandwidth": 2.039e12}, {"device": "L4", "bandwidth": 3e11})
    return Figure("devices", "Devices", "What the estimates assume.", columns, rows, None)


def document() -> Document:
    """Everything above in one report."""
    models = PlainTable(
        "Models",
        ("model", "parameters", "FLOP", "time"),
        (("Stable Diffusion", "859.5 M", "803.3 GFLOP", "2.1 s"), (HOSTILE, "1.2 M", "3.4 GFLOP", "-")),
        "Times are estimates.",
    )
    return Document(
        title=f"Characterization of {len(MODELS)} models",
        subtitle=("Stable Diffusion, Imagen, Muse, Parti", "NVIDIA A100 80GB, float16", HOSTILE),
        sections=(
            Section("Models", ("What was looked at, at the sizes each model was made for.",), (), (models,)),
            Section("Figures", (), (breakdown(), growth(), operators(), grid(), panels(), empty(), without_chart())),
        ),
        assumptions=("Stable Diffusion: 50 steps, guided, 512 x 512", f"{HOSTILE}: one step"),
        notes=("Estimates come from the device model, not from a clock.",),
    )
