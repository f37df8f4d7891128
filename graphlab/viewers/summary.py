"""What a picture says in a few lines: how much is drawn, and what parallelism could give at best."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.tables import Column, Table, left_out
from graphlab.report.wording import UNKNOWN, marked
from graphlab.units import format_count, format_seconds, format_share
from graphlab.viewers.data import Drawing, DrawnStage


def stages_table(drawing: Drawing) -> Table:
    """A row a stage: calls, what is drawn of them, and the critical path against the sum of all calls."""
    heads = ("calls", "drawn", "depth", "all calls", "critical path", "share", "at best")
    columns = (Column("stage", number=False), *map(Column, heads))
    note = (
        "drawn: nodes, inputs and outputs among them; critical path: the costliest chain of calls that wait for each "
    )
    note += "other, in "
    note += "ideal times" if drawing.device is not None else "FLOP"
    note += "; at best: how many times faster with all others beside it, an estimate"
    if any(stage.unknown for stage in drawing.stages):
        note += f"; {left_out(drawing.device is not None)}"
    return Table("What is drawn", columns, tuple(_row(stage) for stage in drawing.stages), note=note)


def drawing_notes(drawing: Drawing) -> Iterator[str]:
    """The notes of every stage, the collapsing of modules among them."""
    for stage in drawing.stages:
        yield from (f"{stage.name}: {note}" for note in stage.notes)


def _row(stage: DrawnStage) -> tuple[str, ...]:
    path = stage.path
    depth = "all" if stage.depth is None else str(stage.depth)
    at_best = f"{path.parallelism:.2f} x" if path.parallelism is not None else "-"
    sums = (_cost(stage, path.total), _cost(stage, path.length), format_share(path.length, path.total), at_best)
    return (stage.name, str(stage.calls), str(len(stage.nodes)), depth, *sums)


def _cost(stage: DrawnStage, value: float) -> str:
    """`value` of the measure of the critical path, "+" where calls without a rule are not in it, or only by bytes."""
    if stage.path.measure == "seconds":
        return marked(format_seconds(value), stage.unknown)
    return UNKNOWN if stage.flops_total is None else marked(format_count(value, "FLOP"), stage.unknown)
