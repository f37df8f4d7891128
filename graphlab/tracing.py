"""Timelines of generations: predicted for a device, measured on this machine, or both side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.generation.runs import StageSource, stage_run
from graphlab.hardware import Hardware
from graphlab.names import nearest
from graphlab.prediction.data import RUNTIMES, KernelModel
from graphlab.prediction.ideal import IdealModel
from graphlab.prediction.model import model_for
from graphlab.report.profile_data import ProfileReport
from graphlab.report.tables import Column, Table
from graphlab.stage_analysis import changing
from graphlab.units import format_seconds
from graphlab.viewers.measured import measured
from graphlab.viewers.picture import Picture
from graphlab.viewers.predicted import StageRow, TracedStage, predicted
from graphlab.viewers.trace import Timeline, to_trace
from graphlab.workload import Stage, Workload

IDEAL = "ideal"
"""The runtime of a device that launches nothing and overlaps nothing: every call at its roofline."""

TRACED = (*RUNTIMES, IDEAL)


def predicted_timeline(
    workload: Workload,
    hardware: Hardware,
    *,
    stage: str | None = None,
    runtime: str = "eager",
    expand: int = 1,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
) -> tuple[Timeline, tuple[StageRow, ...], tuple[str, ...]]:
    """(timeline of one generation of `workload` on `hardware`, a row a stage, notes on what it rests on).

    `runtime` is one of TRACED. The first `expand` calls of each stage are drawn kernel by kernel.
    """
    if isinstance(expand, bool) or not isinstance(expand, int) or expand < 0:
        raise GraphlabError(f"cannot draw {expand!r} calls node by node", hint="expected an integer of at least 0")
    model = _model(hardware, runtime)
    chosen = workload.active if stage is None else (workload.running(stage),)
    traced = [_traced(workload, item, cache, progress) for item in chosen]
    ran = "eager" if runtime == IDEAL else runtime
    title = f"predicted: {hardware.name}, {runtime} (estimates)"
    timeline, rows = predicted(traced, model, ran, title=title, expand=expand)
    notes = [f"times are estimates for {hardware.title}, {runtime}; nothing was run for them"]
    for item in traced:
        own = (*item.run.first.notes, *model.notes(item.run.first))
        notes += [f"{item.run.stage.name}: {note}" for note in dict.fromkeys(own)]
    return timeline, rows, (*notes, *_collapsed(rows))


def predicted_picture(
    workload: Workload,
    hardware: Hardware,
    *,
    stage: str | None = None,
    runtime: str = "eager",
    expand: int = 1,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Picture:
    """`predicted_timeline` as a Picture."""
    timeline, rows, notes = predicted_timeline(
        workload, hardware, stage=stage, runtime=runtime, expand=expand, cache=cache, progress=progress
    )
    said = (*notes, *workload.assumptions)
    text = to_trace([timeline], about(workload, said))
    return Picture("perfetto", text, tables=(timeline_table(rows),), notes=said)


def measured_picture(
    report: ProfileReport,
    workload: Workload,
    hardware: Hardware | None = None,
    *,
    stage: str | None = None,
    runtime: str = "eager",
) -> Picture:
    """`report`, a profile of `workload` (of `stage` alone, where it is given), as a Picture of what was measured.

    With `hardware` what is predicted for it stands beside, as a process of its own.
    """
    timelines, tables = [measured(report)], []
    notes = ["measured: every node for the median of its time, one after another; calls that were not run are one span"]
    if hardware is not None:
        timeline, rows, said = predicted_timeline(workload, hardware, stage=stage, runtime=runtime)
        timelines.append(timeline)
        tables.append(timeline_table(rows))
        notes += said
    own = [*report.notes, *(f"{item.name}: {note}" for item in report.stages for note in item.notes)]
    said = tuple(dict.fromkeys((*notes, *own, *workload.assumptions)))
    return Picture("perfetto", to_trace(timelines, about(workload, said)), tables=tuple(tables), notes=tuple(notes))


def about(workload: Workload, notes: Sequence[str]) -> dict[str, Any]:
    """What a trace says of itself in `otherData`."""
    bindings = dict(workload.values())
    return {"source": workload.source, "workload": workload.name, "bindings": bindings, "notes": list(notes)}


def timeline_table(rows: Sequence[StageRow]) -> Table:
    """A row a stage of a predicted timeline."""
    columns = (Column("stage", number=False), *map(Column, ("steps", "calls", "node by node", "interpolated", "time")))
    cells = tuple(
        (row.name, str(row.steps), str(row.calls), str(row.drawn), str(row.interpolated), format_seconds(row.seconds))
        for row in rows
    )
    note = "node by node: calls drawn so; interpolated: steps whose time lies between those worked out; time: estimated"
    return Table("Predicted timeline", columns, cells, note=note)


def _collapsed(rows: Sequence[StageRow]) -> tuple[str, ...]:
    """What is said of the calls that are not drawn node by node."""
    left = [f"{row.calls - row.drawn} of {row.calls} calls of {row.name}" for row in rows if row.drawn < row.calls]
    return (f"drawn as steps, not node by node: {', '.join(left)}",) if left else ()


def _model(hardware: Hardware, runtime: str) -> KernelModel:
    if runtime not in TRACED:
        hint = f"{nearest(runtime, TRACED)}known: {', '.join(TRACED)}"
        raise UnknownNameError(f"no runtime is called {runtime!r}", hint=hint)
    model: KernelModel = IdealModel(hardware) if runtime == IDEAL else model_for(hardware)
    if runtime != IDEAL and runtime not in model.runtimes:
        hint = f"it can time {', '.join(model.runtimes)}, {IDEAL}"
        raise UnknownNameError(f"what is known of {hardware.name} cannot time {runtime}", hint=hint)
    return model


def _traced(workload: Workload, stage: Stage, cache: bool, progress: Callable[[str], None] | None) -> TracedStage:
    """`stage` over its steps; symbolic where sizes change from step to step, which one capture then answers for."""
    if progress is not None:
        progress(stage.name)
    source = StageSource(stage, dynamic=changing(stage), disk=cache)
    return TracedStage(stage_run(workload, source), source)
