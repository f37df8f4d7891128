"""`draw`: a source as a file that Model Explorer, Perfetto, Graphviz or a reader of GraphML opens."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from graphlab.api import Source, workload_of
from graphlab.errors import GraphlabError
from graphlab.facts import PlacedWeight
from graphlab.graph import Graph
from graphlab.hardware import Hardware, load_device
from graphlab.masks.placement import placement
from graphlab.roofline import with_estimate
from graphlab.stage_analysis import Options, analyze_stage, stage_report
from graphlab.tracing import predicted_picture
from graphlab.viewers.as_graphml import to_graphml
from graphlab.viewers.build import drawn_stage
from graphlab.viewers.collapse import fitted
from graphlab.viewers.data import Drawing, DrawnStage
from graphlab.viewers.dot import to_dot
from graphlab.viewers.formats import LIMITS, format_of
from graphlab.viewers.model_explorer import to_model_explorer
from graphlab.viewers.overlays import to_overlays
from graphlab.viewers.picture import Picture
from graphlab.viewers.summary import drawing_notes, stages_table
from graphlab.workload import Stage, Workload

Progress = Callable[[str], None]
Masks = Sequence[str | os.PathLike[str]]


def draw(
    source: Source,
    output: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    device: str | os.PathLike[str] | Hardware | None = None,
    stage: str | None = None,
    masks: Masks = (),
    limit: int | None = None,
    runtime: str | None = None,
    expand: int | None = None,
    dynamic: bool = True,
    cache: bool = True,
    progress: Progress | None = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    **bindings: int | float,
) -> Picture:
    """`source` as a Picture, written to `output` where one is given.

    `format` is one of `graphlab.viewers.formats.FORMATS`; without it the name of `output` tells. `device` adds ideal
    times; the other options are those of `analyze`. `masks` are weight masks of one stage, the `unet` where there is
    one, whose densities are drawn. `limit` is the most nodes a stage is drawn with (LIMITS): above it modules are
    collapsed and the notes say so. "perfetto" is a predicted timeline instead: it needs a `device`, `runtime` is one of
    `graphlab.tracing.TRACED` ("eager"), and the first `expand` calls of a stage (1) are drawn node by node. Raises
    GraphlabError for what is unknown, does not fit together, or cannot be written.
    """
    kind = format_of(output, format)
    check_options(kind, {"masks": masks or None, "limit": limit, "runtime": runtime, "expand": expand}, device)
    hardware = load_device(device) if device is not None and not isinstance(device, Hardware) else device
    workload = workload_of(source, bindings, config, trust_pickle, inputs, dynamic)
    if kind == "perfetto":
        assert hardware is not None
        picture = predicted_picture(
            workload,
            hardware,
            stage=stage,
            runtime=runtime or "eager",
            expand=1 if expand is None else expand,
            cache=cache,
            progress=progress,
        )
    else:
        options = Options(dynamic=dynamic, cache=cache)
        picture = graph_picture(kind, drawing(workload, options, hardware, stage, masks, progress), limit)
    if output is not None:
        picture.save(output)
    return picture


def check_options(kind: str, given: Mapping[str, object], device: object) -> None:
    """GraphlabError for one of `given` ({option: value, None for not given}) that says nothing about the format `kind`,
    and for a timeline without a `device`."""
    if kind == "perfetto" and device is None:
        raise GraphlabError("a predicted timeline needs a device", hint="graphlab devices lists those that are known")
    foreign = ("masks", "limit") if kind == "perfetto" else ("runtime", "expand")
    for name in foreign:
        if given.get(name) is not None:
            raise GraphlabError(f"{name} says nothing about {kind}", hint="leave it out, or draw another format")


def graph_picture(kind: str, whole: Drawing, limit: int | None = None) -> Picture:
    """`whole` in the format `kind`, every stage with at most `limit` nodes."""
    most = LIMITS[kind] if limit is None else limit
    drawn = Drawing(
        whole.source,
        whole.workload,
        whole.device,
        whole.bindings,
        tuple(fitted(stage, most) for stage in whole.stages),
        whole.assumptions,
    )
    writers = {"model-explorer": to_model_explorer, "dot": to_dot, "graphml": to_graphml}
    overlays = to_overlays(drawn) if kind == "model-explorer" else {}
    notes = (*drawing_notes(drawn), *drawn.assumptions)
    return Picture(kind, writers[kind](drawn), overlays, (stages_table(drawn),), notes)


def drawing(
    workload: Workload,
    options: Options,
    hardware: Hardware | None = None,
    stage: str | None = None,
    masks: Masks = (),
    progress: Progress | None = None,
) -> Drawing:
    """Every call of the stages of `workload`, or of `stage` alone, as a node."""
    chosen = workload.active if stage is None else (workload.running(stage),)
    masked = _masked_stage(chosen) if masks else None
    stages = []
    for item in chosen:
        if progress is not None:
            progress(item.name)
        stages.append(_drawn(workload, item, options, hardware, masks if item is masked else ()))
    device = hardware.name if hardware is not None else None
    return Drawing(
        workload.source, workload.name, device, workload.values(), tuple(stages), tuple(workload.assumptions)
    )


def _masked_stage(stages: Sequence[Stage]) -> Stage:
    """The stage that masks are of: the only one, or the `unet`."""
    found = [stage for stage in stages if stage.name == "unet" or len(stages) == 1]
    if not found:
        names = ", ".join(stage.name for stage in stages)
        raise GraphlabError("which stage the masks are of is not said", hint=f"pick one with --stage: {names}")
    return found[0]


def _drawn(workload: Workload, stage: Stage, options: Options, hardware: Hardware | None, masks: Masks) -> DrawnStage:
    analysis = analyze_stage(workload, stage, options)
    report = stage_report(analysis, options)
    if hardware is not None:
        report = with_estimate(report, analysis.facts.result("fused-bytes"), hardware)
    placed = _placed(workload, analysis.stage.name, analysis.program.graph, masks) if masks else {}
    return drawn_stage(report, analysis.graph, analysis.program.graph, placed)


def _placed(workload: Workload, stage: str, graph: Graph, masks: Masks) -> dict[str, dict[str, PlacedWeight]]:
    """{name of a mask: {key: its weight}}; masks of one name are numbered."""
    found = placement(workload.source, stage, graph, [Path(mask) for mask in masks])
    named: dict[str, dict[str, PlacedWeight]] = {}
    for name, mask in zip(found.names, found.masks, strict=True):
        own = name if name not in named else f"{name} ({len(named) + 1})"
        named[own] = {row.key: row for row in mask.rows}
    return named
