"""`export`: a source to ONNX models, checked: one stage to one file, or every stage to a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graphlab.api import Source, one_stage, workload_of
from graphlab.exporting.errors import ExportError
from graphlab.exporting.options import ExportOptions, Naming
from graphlab.exporting.saving import staged_folder
from graphlab.exporting.stage import export_program
from graphlab.exporting.targets import Target, target_named
from graphlab.input_axes import axis_names
from graphlab.measuring.stage import refuse_foreign
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.export_data import ExportReport, ModelReport
from graphlab.rewriter import Chosen, chosen_passes, rewrite_program, stage_program
from graphlab.rewriting.pipeline import level_passes
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.stage import axis_sizes
from graphlab.weights.source import weight_source
from graphlab.workload import Workload


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to export and how: a workload, the passes, the options of the models, and where values come from."""

    workload: Workload
    chosen: Chosen
    options: ExportOptions
    weights: str | None = None
    dynamic: bool = True
    trust_pickle: bool = False


def export(
    source: Source,
    output: str | os.PathLike[str],
    *,
    target: str | Target = "standard",
    level: int | None = 2,
    passes: Sequence[str | Rewrite] = (),
    stage: str | None = None,
    dtype: str | None = None,
    weights: str | None = None,
    opset: int | None = None,
    check: bool = True,
    force: bool = False,
    tolerance: float | None = None,
    dynamic: bool = True,
    progress: Callable[[str], None] | None = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    **bindings: int | float,
) -> ExportReport:
    """Writes `source` as ONNX: one stage to a file `output` ending in .onnx, all stages to a folder.

    Passes of -O`level` and `passes` run on the graph first. `target` is what the model is for: "standard", "ort-cpu",
    "ort-cuda". `weights` is a path or "random:SEED"; without it the source's own, WeightsError where it has none.
    `dtype` is float32, float16 or bfloat16. Every model is compared with PyTorch at two sets of sizes; one that
    differs by more than `tolerance` is refused, unless `force`. Files appear whole or not at all.
    """
    chosen = chosen_passes(level, passes)
    made = target if isinstance(target, Target) else target_named(target)
    options = ExportOptions(made.at(opset), dtype, check=check, force=force, tolerance=tolerance)
    workload = workload_of(source, bindings, config, trust_pickle, inputs, dynamic)
    plan = ExportPlan(workload, chosen, options, weights, dynamic=dynamic, trust_pickle=trust_pickle)
    return export_models(plan, output, stage, progress)


def export_models(
    plan: ExportPlan,
    output: str | os.PathLike[str],
    stage: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Writes the stages of `plan`, or the one called `stage`, to `output`; `progress` hears each stage's name."""
    tell = progress or (lambda name: None)
    if is_folder(output):
        return _export_folder(plan, Path(output), stage, tell)
    name = one_stage(plan.workload, stage)
    tell(name)
    return report_of(plan, [export_stage(plan, name, Path(output))])


def _export_folder(plan: ExportPlan, folder: Path, stage: str | None, tell: Callable[[str], None]) -> ExportReport:
    from graphlab.onnx_pipeline.layout import pipeline_layout
    from graphlab.onnx_pipeline.writing import write_pipeline

    layout = pipeline_layout(plan.workload)
    ready = replace(plan, workload=layout.workload)
    names = [item.name for item in ready.workload.active] if stage is None else [one_stage(ready.workload, stage)]
    models = []
    with staged_folder(folder) as made:
        for name in names:
            tell(name)
            place = layout.stage(name)
            model = export_stage(ready, name, made / place.file, place.naming)
            data = folder / Path(model.data).relative_to(made) if model.data is not None else None
            models.append(replace(model, path=str(folder / place.file), data=str(data) if data else None))
        files = write_pipeline(layout, made) if stage is None else ()
    found = report_of(plan, models, [str(path) for path in files])
    return replace(found, assumptions=(*found.assumptions, *layout.notes))


def is_folder(output: str | os.PathLike[str]) -> bool:
    """Whether `output` is a folder: it is one, or ends like one, or has no suffix; ExportError for another suffix."""
    text, path = os.fspath(output), Path(output)
    if text.endswith(("/", os.sep)) or path.is_dir() or not path.suffix:
        return True
    if path.suffix != ".onnx":
        raise ExportError(f"{text} is neither an .onnx file nor a folder", hint="end a folder's name with /")
    return False


def export_stage(plan: ExportPlan, name: str, path: Path, naming: Naming | None = None) -> ModelReport:
    """The stage `name` of `plan` as the model at `path`."""
    source = weight_source(plan.workload, name, plan.weights, trust_pickle=plan.trust_pickle)
    start = time.perf_counter()
    program = stage_program(plan.workload, name, dynamic=plan.dynamic)
    if plan.options.check and plan.workload.stage(name).program is not None and not plan.trust_pickle:
        refuse_foreign(program)  # the check runs it
    captured = time.perf_counter()
    result = rewrite_program(program, _for_target(plan.chosen, plan.options.target))
    before = {"capture": captured - start, "rewrite": time.perf_counter() - captured}
    named = naming or Naming()
    if not named.axes:
        named = replace(named, axes=shown_axes(program))
    stage = plan.workload.running(name)
    sizes = axis_sizes(stage, plan.workload.step_values(stage, 0))
    at = {symbol: sizes[symbol] for symbol in program.graph.symbols}
    return export_program(
        program,
        result,
        source,
        path,
        plan.options,
        naming=named,
        sizes=at,
        origin=f"{plan.workload.source}, {name}",
        before=before,
    )


def _for_target(chosen: Chosen, target: Target) -> Chosen:
    """`chosen` less the passes of its level that make a model slower on `target`; those asked for by name stay."""
    if chosen.level is None:
        return chosen
    asked = chosen.rewrites[len(level_passes(chosen.level)) :]
    kept = tuple(item for item in level_passes(chosen.level) if item.name not in target.without)
    return replace(chosen, rewrites=(*kept, *asked))


def shown_axes(program: Program) -> dict[str, str]:
    """{symbol: the name reports show it by}: "sample.h" for "sample.d2"."""
    graph = program.graph
    names = axis_names(graph, Facts(graph, dict(graph.symbols)).result("axes"))
    return {symbol: names[symbol] for symbol in graph.symbols}


def report_of(plan: ExportPlan, models: Sequence[ModelReport], files: Sequence[str] = ()) -> ExportReport:
    """The report of `models` written under `plan`."""
    return ExportReport(
        source=plan.workload.source,
        workload=plan.workload.name,
        bindings=plan.workload.values(),
        target=plan.options.target.name,
        level=plan.chosen.level,
        passes=plan.chosen.names,
        models=tuple(models),
        files=tuple(files),
        assumptions=plan.workload.assumptions,
    )
