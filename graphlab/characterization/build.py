"""From the names of models to a `Characterization`: captures, calls at every step, a time model for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from graphlab.characterization.data import ModelRun, StageSeries
from graphlab.generation.runs import StageSource, stage_run
from graphlab.generation.steps import is_sampled
from graphlab.models import find_model
from graphlab.stage_analysis import changing
from graphlab.workload import Stage, TensorInput, Workload

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """`disk` uses the cache; `dtype` recasts every stage whose dtype is a float."""

    disk: bool = True
    dtype: str | None = None


def model_run(workload: Workload, options: BuildOptions, progress: Progress | None = None) -> ModelRun:
    """Every stage of `workload` over one generation, bindings in force."""
    kind = _kind(workload)
    stages = []
    for stage in workload.active:
        if progress is not None:
            progress(f"{workload.name} {stage.name}")
        stages.append(_series(workload, stage, kind, options))
    return ModelRun(workload.name, kind, workload, tuple(stages))


def _series(workload: Workload, stage: Stage, kind: str, options: BuildOptions) -> StageSeries:
    dtype = options.dtype if stage.dtype in ("float16", "bfloat16", "float32") else None
    growing = changing(stage)
    source = StageSource(stage, dynamic=growing, disk=options.disk, dtype=dtype)
    run = stage_run(workload, source)
    others = source if growing else StageSource(stage, dynamic=True, disk=options.disk, dtype=dtype)
    return StageSeries(run, others, family(stage, kind))


def family(stage: Stage, kind: str) -> str:
    """What `stage` is, from how it runs: sizes that grow with the steps, tokens or floats in, sampled or one pass."""
    if kind == "language":
        return "language decode" if changing(stage) else "language prefill"
    if changing(stage):
        return "autoregressive transformer"
    if not is_sampled(stage):
        return "one pass"
    first = next((item for item in stage.inputs.values() if isinstance(item, TensorInput)), None)
    return "masked transformer" if first is not None and first.dtype.startswith("int") else "diffusion"


def _kind(workload: Workload) -> str:
    """Language where new tokens are counted, video where frames are, images otherwise."""
    names = {variable.name for variable in workload.variables}
    if "new_tokens" in names:
        return "language"
    return "text-to-video" if "frames" in names else "text-to-image"


def workloads(names: Iterable[str], bindings: Mapping[str, int | float]) -> list[Workload]:
    """The built-in workloads `names`, each with those of `bindings` that it has a variable for."""
    found = []
    for name in names:
        workload = find_model(name).workload()
        known = {variable.name for variable in workload.variables}
        found.append(workload.bind({key: value for key, value in bindings.items() if key in known}))
    return found
