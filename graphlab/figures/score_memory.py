"""Memory of similarity matrices by level: the closed form beside what the capture shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.characterization.data import Characterization, ModelRun
from graphlab.characterization.sweeps import swept_stage
from graphlab.figures.charts import FADED, colour, picks, quantity, tooltip
from graphlab.figures.notes import distinct, why_empty
from graphlab.figures.scores import ScoreMemory, score_memory_of
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("part", "part", help="a level, or all of one call"),
    Column("positions", "positions N", help="queries"),
    Column("batch", "batch", help="guidance, and frames where they are a batch, among it"),
    Column("heads", "heads"),
    Column("self_calls", "self attentions", help="over the positions themselves"),
    Column("other_calls", "other attentions"),
    Column("text", "text tokens T", help="where self and cross attention come in pairs"),
    Column("per_head_bytes", "one head of one sample", "B"),
    Column("closed_bytes", "closed form", "B", "itemsize B a h N (N + T), summed over layers"),
    Column("traced_bytes", "traced", "B", "all score matrices of one call as captured"),
    Column("equal", "equal"),
    Column("largest_bytes", "largest attention", "B", "the most that is there at once"),
)
_EMPTY: dict[str, Value] = {column.key: None for column in COLUMNS}


def score_memory(suite: Characterization) -> Figure:
    """Bytes of the similarity matrices of the denoiser's (or decoder's) first call, level by level and in all."""
    rows = tuple(row for run in suite.models for row in _rows(run))
    return Figure(
        name="score-memory",
        title="Memory of similarity matrices",
        caption=(
            "Similarity matrices of one call, summed over layers: M = itemsize B sum a h N (N + T) over the levels, "
            "each of a attention blocks with h heads over N positions and T text tokens. Fused attention writes none."
        ),
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=distinct(why_empty(rows, "no model of the suite has an attention in its largest stage"), _unequal(rows)),
    )


def _rows(run: ModelRun) -> Iterator[Mapping[str, Value]]:
    stage = swept_stage(run)
    memory = score_memory_of(stage.run.first)
    base = {**_EMPTY, "model": run.name, "stage": stage.name}
    for level in memory.levels:
        own = ScoreMemory((level,), memory.itemsize, 0)
        yield {
            **base,
            "part": "level",
            "positions": level.positions,
            "batch": level.batch,
            "heads": level.heads,
            "self_calls": level.selfs,
            "other_calls": sum(count for _, count in level.crosses),
            "text": level.text,
            "per_head_bytes": own.per_head,
            "closed_bytes": own.closed,
            "largest_bytes": own.largest,
        }
    if memory.levels:
        yield {
            **base,
            "part": "all",
            "self_calls": sum(level.selfs for level in memory.levels),
            "other_calls": sum(count for level in memory.levels for _, count in level.crosses),
            "per_head_bytes": memory.per_head,
            "closed_bytes": memory.closed,
            "traced_bytes": memory.traced,
            "equal": memory.closed == memory.traced,
            "largest_bytes": memory.largest,
        }


def _unequal(rows: tuple[Mapping[str, Value], ...]) -> Iterator[str]:
    for row in rows:
        if row["equal"] is False:
            yield (
                f"{row['model']} {row['stage']}: the closed form gives {row['closed_bytes']} B, the capture "
                f"{row['traced_bytes']} B; some scores are of another dtype or broadcast"
            )


_CHART = {
    "description": "Stacked bars, one a model: bytes of similarity matrices by the positions of the level.",
    "transform": [{"filter": "datum.part === 'level'"}],
    "params": picks("positions"),
    "mark": "bar",
    "encoding": {
        "y": {"field": "model", "type": "nominal", "title": None, "sort": None},
        "x": quantity("per_head_bytes", "similarity matrices of one head and sample (B)"),
        "color": {**colour("positions", "positions N"), "type": "ordinal", "scale": {"scheme": "viridis"}},
        "opacity": FADED,
        "tooltip": tooltip(
            COLUMNS, "model", "stage", "positions", "batch", "heads", "self_calls", "other_calls", "text",
            "per_head_bytes", "closed_bytes",
        ),
    },
}  # fmt: skip
