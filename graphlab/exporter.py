"""`export`: a source to ONNX models, checked: one stage to one file, or every stage to a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from graphlab.rewriter import Chosen, chosen_passes, rewrite_captured, stage_program
from graphlab.rewriting.pipeline import LEVELS, level_passes
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.stage import axis_sizes
from graphlab.weights.source import WeightSource, weight_source
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

    def __post_init__(self) -> None:
        """ExportError for a pass that approximates: no model here says how old the features it is given are."""
        if self.chosen.approximate:
            raise ExportError(
                f"{self.chosen.approximate[0]} is approximate, and export writes only what equals the model",
                hint="`graphlab rewrite --pass ... -o FOLDER` writes its programs",
            )


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
    models: list[ModelReport] = []
    with staged_folder(folder) as made:
        for name in names:
            tell(name)
            place = layout.stage(name)
            item = _Stage.of(ready, name, place.naming)
            written = item.write_parts(made / place.subfolder) if item.is_split else [item.write(made / place.file)]
            models += [_placed(model, made, folder) for model in written]
        files = write_pipeline(layout, made, partial(_weights, ready)) if stage is None else ()
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


def _placed(model: ModelReport, made: Path, folder: Path) -> ModelReport:
    """`model`, written into `made`, as the file it is about to be in `folder`."""
    data = str(folder / Path(model.data).relative_to(made)) if model.data is not None else None
    return replace(model, path=str(folder / Path(model.path).relative_to(made)), data=data)


def export_stage(plan: ExportPlan, name: str, path: Path, naming: Naming | None = None) -> ModelReport:
    """The stage `name` of `plan` as the model at `path`; ExportError where its passes split the stage."""
    made = _Stage.of(plan, name, naming)
    if made.is_split:
        raise ExportError(
            f"-O3 splits {name} into several models", hint="name a folder (end it with /), or export with -O2"
        )
    return made.write(path)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage captured and rewritten. `before` are the seconds that took."""

    plan: ExportPlan
    name: str
    program: Program
    result: RewriteResult
    naming: Naming
    before: Mapping[str, float]

    @classmethod
    def of(cls, plan: ExportPlan, name: str, naming: Naming | None) -> _Stage:
        """The stage `name` of `plan`. A program of a stranger's file is refused where the check would run it."""
        start = time.perf_counter()
        program = stage_program(plan.workload, name, dynamic=plan.dynamic)
        captured = time.perf_counter()
        if plan.options.check and plan.workload.stage(name).program is not None and not plan.trust_pickle:
            refuse_foreign(program)
        result = rewrite_captured(plan.workload, name, program, _for_target(plan.chosen, plan.options.target))
        before = {"capture": captured - start, "rewrite": time.perf_counter() - captured}
        named = naming or Naming()
        if not named.axes:
            named = replace(named, axes=shown_axes(program))
        return cls(plan, name, program, result, named, before)

    @property
    def is_split(self) -> bool:
        """Whether it is prologue, table and step now."""
        return self.result.hoisted is not None and self.result.hoisted.modified

    def write(self, path: Path) -> ModelReport:
        """The model at `path`."""
        stage = self.plan.workload.running(self.name)
        sizes = axis_sizes(stage, self.plan.workload.step_values(stage, 0))
        return export_program(
            self.program,
            self.result,
            self._source(),
            path,
            self.plan.options,
            naming=self.naming,
            sizes={symbol: sizes[symbol] for symbol in self.program.graph.symbols},
            origin=f"{self.plan.workload.source}, {self.name}",
            before=self.before,
        )

    def write_parts(self, folder: Path) -> Sequence[ModelReport]:
        """The models of the parts, in `folder`."""
        from graphlab.onnx_pipeline.hoisted import export_hoisted

        folder.mkdir(parents=True, exist_ok=True)
        options, origin = self.plan.options, f"{self.plan.workload.source}, {self.name}"
        return export_hoisted(
            self.program, self.result, self._source(), folder, options, naming=self.naming, origin=origin
        )

    def _source(self) -> WeightSource:
        return _weights(self.plan, self.name)


def _weights(plan: ExportPlan, name: str) -> WeightSource:
    """Where the weights of the stage `name` come from."""
    return weight_source(plan.workload, name, plan.weights, trust_pickle=plan.trust_pickle)


def _for_target(chosen: Chosen, target: Target) -> Chosen:
    """`chosen` less the passes of its level that `target` leaves out; those asked for by name stay."""
    if chosen.level is None:
        return chosen
    level = level_passes(min(chosen.level, max(LEVELS)))
    asked = chosen.rewrites[len(level) :]
    kept = tuple(item for item in level if item.name not in target.without)
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
        passes=_for_target(plan.chosen, plan.options.target).names,
        models=tuple(models),
        files=tuple(files),
        assumptions=plan.workload.assumptions,
    )
