"""`analyze`: a source, a Program or a Workload to an AnalysisReport."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphlab.discovery.chosen import owner_of
from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.hardware import Hardware, load_device
from graphlab.loading import load
from graphlab.passes_base import Analysis
from graphlab.pipeline import Facts
from graphlab.plugins import PluginError, called, registry
from graphlab.program import Program
from graphlab.report.data import AnalysisReport, Fit, StageReport, distinct_weights
from graphlab.report.plain import NoFactError, plain
from graphlab.report.stage_data import AnalysisFacts
from graphlab.rewriting.options import pass_from, spelled
from graphlab.roofline import largest_batch, with_estimate
from graphlab.sources.bare import program_workload
from graphlab.stage_analysis import Options, StageAnalysis, analyze_stage, stage_report
from graphlab.workload import Workload

Source = str | os.PathLike[str] | Program | Workload


def analyze(
    source: Source,
    device: str | os.PathLike[str] | Hardware | None = None,
    *,
    stage: str | None = None,
    dynamic: bool = True,
    strict: bool = False,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    passes: Sequence[str | Analysis[Any]] = (),
    **bindings: int | float,
) -> AnalysisReport:
    """What every node of `source` is and costs, stage by stage, and the sums over a whole generation.

    `device` adds roofline estimates and whether it fits. `stage` picks one stage. `dynamic=False` captures
    at the bindings alone (faster, no expressions). `strict` makes an op without a rule an error. `bindings`
    are the workload's variables (`height=768`); names that are no identifiers go in as `**{"sample.h": 96}`.
    `passes` are analyses to run beside graphlab's own, as instances or texts ("NAME[,KEY=VALUE]...",
    "path/file.py:CLASS"); what they find at a stage's first step is `analyses` of the stage. `progress` is called
    with the name of each stage as it starts. Nothing is run and no weights are read.
    """
    asked = analyses_of(passes)
    hardware = load_device(device) if device is not None and not isinstance(device, Hardware) else device
    workload = workload_of(source, bindings, config, trust_pickle, inputs, dynamic)
    stages = workload.active if stage is None else (workload.running(stage),)
    options = Options(dynamic=dynamic, strict=strict, cache=cache)
    analyses: list[StageAnalysis] = []
    reports: list[StageReport] = []
    for item in stages:
        if progress is not None:
            progress(item.name)
        analysis = analyze_stage(workload, item, options)
        report = stage_report(analysis, options)
        if hardware is not None:
            report = with_estimate(report, analysis.facts.result("fused-bytes"), hardware)
        analyses.append(analysis)
        reports.append(replace(report, analyses=tuple(facts_found(item, analysis.facts) for item in asked)))
    return AnalysisReport(
        source=workload.source,
        workload=workload.name,
        device=hardware.name if hardware is not None else None,
        bindings=workload.values(),
        assumptions=workload.assumptions,
        stages=tuple(reports),
        fit=_fit(analyses, reports, hardware) if hardware is not None else None,
    )


def analyses_of(passes: Sequence[str | Analysis[Any]]) -> tuple[Analysis[Any], ...]:
    """The analyses of `passes`, by text or instance; GraphlabError for a pass that is none."""
    made = [pass_from(item) if isinstance(item, str) else item for item in passes]
    found = [item for item in made if isinstance(item, Analysis)]
    if len(found) < len(made):
        wrong = next(item for item in made if not isinstance(item, Analysis))
        raise GraphlabError(f"pass {wrong.name!r} is no analysis", hint="rewrites run under `graphlab rewrite`")
    return tuple(found)


def facts_found(analysis: Analysis[Any], facts: Facts) -> AnalysisFacts:
    """What `analysis` finds in the graph of `facts`; PluginError, naming it, where a report cannot hold it."""
    owner = owner_of(type(analysis), registry())
    found = facts.of(analysis)
    try:
        shown = plain(found)
    except NoFactError as error:
        raise PluginError(
            f"{called(analysis)} returned what no report can hold: {error}",
            hint="return dataclasses, mappings, sequences, numbers and texts",
        ) from error
    return AnalysisFacts(spelled(analysis), "this program" if owner is None else str(owner), shown)


def workload_of(
    source: Source,
    bindings: Mapping[str, int | float],
    config: str | os.PathLike[str] | None,
    trust_pickle: bool,
    inputs: Mapping[str, str] | None,
    dynamic: bool,
) -> Workload:
    """The workload of `source` with `bindings` in force; the options are those of `load`."""
    if isinstance(source, Program):
        source = program_workload(source, source.name)
    if isinstance(source, Workload):
        return source.bind(bindings) if bindings else source
    return load(source, config=config, trust_pickle=trust_pickle, inputs=inputs, dynamic=dynamic, **bindings)


def _fit(analyses: list[StageAnalysis], reports: list[StageReport], hardware: Hardware) -> Fit:
    weights = [sum(report.weight_bytes.values()) for report in reports]
    resident = sum(sum(report.weight_bytes.values()) for report in distinct_weights(reports))
    peaks = [item.peak_bytes() for item in analyses]
    fullest = max(range(len(analyses)), key=lambda index: peaks[index])
    cache = analyses[fullest].cache_bytes()
    largest, limit = _largest_batch(analyses, resident, hardware.memory_bytes)
    return Fit(
        device_bytes=hardware.memory_bytes,
        weights_bytes=resident,
        activation_bytes=peaks[fullest] - cache,
        cache_bytes=cache,
        fits=resident + peaks[fullest] <= hardware.memory_bytes,
        fits_one_stage_at_a_time=max(map(sum, zip(weights, peaks, strict=True))) <= hardware.memory_bytes,
        largest_batch=largest,
        batch_limit=limit,
    )


MOST_BATCH = 4096
"""Batches are searched up to here."""


def _largest_batch(analyses: list[StageAnalysis], resident: int, memory: int) -> tuple[int | None, int | None]:
    """(largest batch that fits, largest batch the captures hold for); None where the batch is not symbolic."""
    if not analyses or not all("batch" in item.values for item in analyses):
        return None, None
    limit = min(item.most_batch(MOST_BATCH) for item in analyses)
    if limit < 1:
        return None, None

    def bytes_at(batch: int) -> int:
        return resident + max(item.peak_bytes(batch) for item in analyses)

    return largest_batch(bytes_at, memory, limit), limit


def one_stage(workload: Workload, name: str | None) -> str:
    """`name`, or the only stage's; UnknownNameError lists the stages when there are several."""
    if name is not None:
        return workload.stage(name).name
    if len(workload.active) == 1:
        return workload.active[0].name
    raise UnknownNameError(
        f"{workload.name} has several stages",
        hint=f"pick one with --stage: {', '.join(s.name for s in workload.active)}",
    )
