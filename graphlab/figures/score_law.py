"""Memory of similarity matrices over image sizes: self attention's grows with the fourth power of the side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.characterization.data import Characterization
from graphlab.characterization.sweeps import Sweep, sweep_images
from graphlab.figures.charts import FADED, colour, picks, quantity, tooltip
from graphlab.figures.crossings import exponent
from graphlab.figures.notes import NO_SWEEPS, distinct, why_empty
from graphlab.figures.scores import ScoreMemory, score_memory_of
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("side", "image side", "px"),
    Column("per_head_bytes", "one head of one sample", "B"),
    Column("closed_bytes", "closed form", "B", "summed over the layers of one call"),
    Column("traced_bytes", "traced", "B", "all score matrices of one call as captured"),
    Column("self_bytes", "of self attention", "B"),
    Column("other_bytes", "of other attention", "B"),
    Column("largest_bytes", "largest attention", "B", "the most that is there at once"),
    Column("exponent", "growth", help="p of bytes ~ side^p since the size before, all attention"),
    Column("self_exponent", "growth of self attention", help="4 where positions follow the area"),
)


def score_law(suite: Characterization) -> Figure:
    """Bytes of similarity matrices at square pictures of several sides, and the power of the side they grow with."""
    sweeps = [(run.name, sweep_images(run)) for run in suite.models if suite.sweeps]
    rows = tuple(row for name, sweep in sweeps for row in _rows(name, sweep))
    return Figure(
        name="score-law",
        title="Similarity matrices over image sizes",
        caption=(
            "Bytes of all similarity matrices of one call over the side L of the picture. Positions grow with L^2, so "
            "self attention's matrices grow with L^4 and cross attention's with L^2."
        ),
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
    before: tuple[int, ScoreMemory] | None = None
    for point in sweep.points:
        memory = score_memory_of(point.call)
        if not memory.levels:
            continue
        yield {
            "model": model,
            "stage": sweep.stage.name,
            "side": point.side,
            "per_head_bytes": memory.per_head,
            "closed_bytes": memory.closed,
            "traced_bytes": memory.traced,
            "self_bytes": memory.own,
            "other_bytes": memory.closed - memory.own,
            "largest_bytes": memory.largest,
            "exponent": _growth(before, point.side, memory.closed, own=False),
            "self_exponent": _growth(before, point.side, memory.own, own=True),
        }
        before = (point.side, memory)


def _growth(before: tuple[int, ScoreMemory] | None, side: int, nbytes: int, *, own: bool) -> float | None:
    if before is None:
        return None
    return exponent((before[0], side), (before[1].own if own else before[1].closed, nbytes))


_CHART = {
    "description": "Lines on log axes, one a model: bytes of similarity matrices of one head over the image side.",
    "params": picks("model"),
    "mark": {"type": "line", "point": True},
    "encoding": {
        "x": quantity("side", "image side (px)", log=True, format="d"),
        "y": quantity("per_head_bytes", "similarity matrices of one head and sample (B)", log=True),
        "color": colour("model", many=True),
        "opacity": FADED,
        "tooltip": tooltip(
            COLUMNS, "model", "stage", "side", "per_head_bytes", "closed_bytes", "self_bytes", "other_bytes",
            "exponent", "self_exponent",
        ),
    },
}  # fmt: skip
