"""How sequence lengths are distributed over image sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from graphlab.characterization.data import Characterization
from graphlab.characterization.sweeps import Sweep, sweep_images
from graphlab.figures.charts import FADED, colour, facets, picks, quantity, tooltip
from graphlab.figures.notes import NO_SWEEPS, distinct, why_empty
from graphlab.figures.sequence_length import length_of, series_of
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("side", "image side", "px"),
    Column("series", "attention", help="kind (self, cross, joint) and axis"),
    Column("length", "sequence length", help="keys of self and joint attention, queries of cross attention"),
    Column("calls", "attention calls of a step"),
    Column("share", "share of the step's attention calls"),
)


def length_by_size(suite: Characterization) -> Figure:
    """How many attention calls of a step see how many positions, for square pictures of several sides."""
    sweeps = [(run.name, sweep_images(run)) for run in suite.models if suite.sweeps]
    rows = tuple(row for name, sweep in sweeps for row in _rows(name, sweep))
    return Figure(
        name="length-by-size",
        title="Sequence lengths over image sizes",
        caption="Distribution of the sequence lengths of one step, for square pictures of several sides.",
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=distinct(
            [] if suite.sweeps else [NO_SWEEPS],
            why_empty(rows, "no model of the suite has attention over an image whose size can change")
            if suite.sweeps
            else (),
            (note for _, sweep in sweeps for note in sweep.notes),
        ),
    )


def _rows(model: str, sweep: Sweep) -> Iterator[Mapping[str, Value]]:
    for point in sweep.points:
        calls = point.call.attention_calls
        counts = Counter((series_of(attention), length_of(attention)) for attention in calls)
        for (series, length), count in sorted(counts.items()):
            yield {
                "model": model,
                "stage": sweep.stage.name,
                "side": point.side,
                "series": series,
                "length": length,
                "calls": count,
                "share": count / len(calls),
            }


_CHART = {
    "description": "Circles, one panel a model: how many calls see which sequence length at which image side.",
    **facets(
        "model",
        3,
        {
            "params": picks("series"),
            "mark": {"type": "circle"},
            "encoding": {
                "x": quantity("length", "sequence length (tokens)", log=True),
                "y": {"field": "side", "type": "ordinal", "title": "image side (px)", "sort": "descending"},
                "size": {"field": "share", "type": "quantitative", "title": "share of calls", "legend": None},
                "color": colour("series", "attention"),
                "opacity": FADED,
                "tooltip": tooltip(COLUMNS, "model", "side", "series", "length", "calls", "share"),
            },
        },
        free=("x", "y"),
    ),
}
