"""Every call of a stage as a table that sorts and filters."""

from __future__ import annotations

from collections.abc import Callable

from graphlab.report.data import NodeRow, StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.wording import SPELLED_BYTES

MOST_CALLS = 5000

COLUMNS = (
    Column("place", "place", help="in call order"),
    Column("node", "call"),
    Column("op", "op"),
    Column("category", "category"),
    Column("role", "role"),
    Column("module", "module"),
    Column("source", "source"),
    Column("shape", "shape"),
    Column("dtype", "dtype"),
    Column("flops", "FLOP", "FLOP", "of contractions; unknown without a rule"),
    Column("pointwise", "pointwise", "FLOP", "of everything else"),
    Column("bytes", SPELLED_BYTES, "B", "read and written by the call itself: a fused attention no scores"),
    Column("seconds", "ideal time", "s", "of a whole attention on its node", estimate=True),
)


def calls_figure(stage: StageReport) -> Figure:
    """A row a call in call order; of more than MOST_CALLS those that cost most."""
    numbered = list(enumerate(stage.nodes, 1))
    notes = []
    if len(numbered) > MOST_CALLS:
        kept = sorted(numbered, key=lambda item: _weight(stage)(item[1]), reverse=True)[:MOST_CALLS]
        notes.append(
            f"too many to list: the {MOST_CALLS:,} of {len(numbered):,} calls that cost most; the CSV of "
            "`graphlab analyze` has all"
        )
        numbered = sorted(kept, key=lambda item: item[0])
    timed = stage.estimate is not None
    return Figure(
        name=f"{stage.name}-calls",
        title=f"{stage.name}: call by call",
        caption="One call of the stage, in call order.",
        columns=COLUMNS if timed else COLUMNS[:-1],
        rows=tuple(_row(place, row, timed=timed) for place, row in numbered),
        chart=None,
        notes=tuple(notes),
    )


def _weight(stage: StageReport) -> Callable[[NodeRow], float]:
    if stage.estimate is not None:
        return lambda row: row.seconds or 0.0
    return lambda row: row.bytes_read + row.bytes_written


def _row(place: int, row: NodeRow, *, timed: bool) -> dict[str, Value]:
    found: dict[str, Value] = {
        "place": place,
        "node": row.name,
        "op": row.op,
        "category": row.category,
        "role": row.role,
        "module": row.module,
        "source": row.source,
        "shape": "x".join(map(str, row.shape)),
        "dtype": row.dtype,
        "flops": row.flops,
        "pointwise": row.pointwise_flops,
        "bytes": row.bytes_read + row.bytes_written,
    }
    return found | {"seconds": row.seconds} if timed else found
