"""`characterize`: where the time of whole generations goes on a device, model by model, as figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.data import Characterization, ModelRun
from graphlab.characterization.findings import findings
from graphlab.characterization.measured import MEASURED_DTYPE
from graphlab.characterization.prefetch import prefetch
from graphlab.characterization.rows import model_rows
from graphlab.characterization.suite import SUITE
from graphlab.errors import BindingError, UnknownNameError
from graphlab.figures.registry import FIGURES, check_figures, figures
from graphlab.generation.recast import FLOATS
from graphlab.hardware import Hardware, load_device
from graphlab.loading import load
from graphlab.names import nearest
from graphlab.prediction.model import model_for
from graphlab.profiling import check_effort, profile
from graphlab.report.characterization_data import CharacterizationReport
from graphlab.report.profile_data import ProfileReport
from graphlab.sources.cache import directory
from graphlab.workload import Workload

ModelSource = str | os.PathLike[str] | Workload


def characterize(
    models: Sequence[ModelSource] | None = None,
    device: str | os.PathLike[str] | Hardware = "a100-80gb",
    *,
    figure_names: Sequence[str] | None = None,
    dtype: str | None = None,
    sweeps: bool = True,
    measured: bool = False,
    budget: float | None = None,
    cache: bool = True,
    jobs: int = 1,
    progress: Callable[[str], None] | None = None,
    **bindings: int | float,
) -> CharacterizationReport:
    """Whole generations of `models` on `device`: estimated times, counts at every step, and the figures of the suite.

    `models` are sources as `load` takes them, or Workloads; None is the suite (graphlab.characterization.suite).
    `bindings` go to every model that has such a variable; one that no model has is a BindingError. `dtype` (float32,
    float16, bfloat16) recasts the models. `figure_names` picks figures; `sweeps=False` leaves out those that need
    other image sizes or frame counts. `measured` also profiles every model on this machine, `budget` seconds each.
    `jobs` processes capture built-in models ahead, into the cache. `progress` is called with each stage's name.
    """
    return run(
        models if models is not None else SUITE,
        device if isinstance(device, Hardware) else load_device(device),
        bindings,
        figure_names=figure_names,
        dtype=dtype,
        sweeps=sweeps,
        measured=measured,
        budget=budget,
        cache=cache,
        jobs=jobs,
        progress=progress,
    )


def run(
    models: Sequence[ModelSource],
    hardware: Hardware,
    bindings: Mapping[str, int | float],
    *,
    figure_names: Sequence[str] | None = None,
    dtype: str | None = None,
    sweeps: bool = True,
    measured: bool = False,
    budget: float | None = None,
    cache: bool = True,
    jobs: int = 1,
    progress: Callable[[str], None] | None = None,
) -> CharacterizationReport:
    """`characterize` with its bindings in a mapping, where a variable may be called like an option."""
    check_figures(figure_names)
    if dtype is not None and dtype not in FLOATS:
        raise UnknownNameError(
            f"cannot characterize in {dtype!r}", hint=f"{nearest(dtype, FLOATS)}known: {', '.join(FLOATS)}"
        )
    if measured:
        check_effort(budget=budget, threads=_threads(hardware))
    workloads = bound(models, bindings)
    options = BuildOptions(disk=cache, dtype=dtype)
    if jobs > 1 and cache and directory() is not None:
        prefetch(workloads, options, jobs, progress, sweeps=sweeps)
    suite = Characterization(
        hardware=hardware,
        model=model_for(hardware),
        models=tuple(model_run(workload, options, progress) for workload in workloads),
        dtype=dtype,
        sweeps=sweeps,
        measured=_profiles(workloads, hardware, budget, progress) if measured else {},
    )
    return _report(suite, figure_names)


def bound(models: Iterable[ModelSource], bindings: Mapping[str, int | float]) -> list[Workload]:
    """The workloads of `models`, each with those of `bindings` it has a variable for; names are made distinct."""
    loaded = [model if isinstance(model, Workload) else load(model) for model in models]
    if not loaded:
        raise BindingError("there is no model to characterize")
    known = {variable.name for workload in loaded for variable in workload.variables}
    for name in bindings:
        if name not in known:
            hint = f"{nearest(name, known)}known: {', '.join(sorted(known))}"
            raise BindingError(f"none of the models has a variable {name!r}", hint=hint)
    found: dict[str, Workload] = {}
    for workload in loaded:
        own = {variable.name for variable in workload.variables}
        if workload.name in found:
            raise BindingError(f"two models are called {workload.name}", hint="characterize them one at a time")
        found[workload.name] = workload.bind({k: v for k, v in bindings.items() if k in own})
    return list(found.values())


def _profiles(
    workloads: Sequence[Workload], hardware: Hardware, budget: float | None, progress: Callable[[str], None] | None
) -> dict[str, ProfileReport]:
    """{model: its profile on this machine}, with as many threads as the device was calibrated with."""
    found = {}
    for workload in workloads:
        if progress is not None:
            progress(f"{workload.name} on this machine")
        found[workload.name] = profile(workload, dtype=MEASURED_DTYPE, budget=budget, threads=_threads(hardware))
    return found


def _threads(hardware: Hardware) -> int | None:
    return hardware.calibration.threads if hardware.calibration is not None else None


def _report(suite: Characterization, names: Sequence[str] | None) -> CharacterizationReport:
    wanted = list(FIGURES) if names is None else list(names)
    return CharacterizationReport(
        device=suite.hardware.name,
        device_title=suite.hardware.title,
        dtype=suite.dtype,
        models=model_rows(suite),
        figures=figures(suite, wanted),
        findings=findings(suite),
        assumptions={run.name: _assumptions(run) for run in suite.models},
        notes=tuple(dict.fromkeys((*suite.notes, *_time_notes(suite)))),
    )


def _assumptions(run: ModelRun) -> tuple[str, ...]:
    own = [f"{s.name}: {note}" for s in run.stages for note in s.run.first.notes]
    return tuple(dict.fromkeys((*run.workload.assumptions, *own)))


def _time_notes(suite: Characterization) -> list[str]:
    """What the time model says of the stages, each line once with the stages it is about unless that is all of them."""
    places: dict[str, list[str]] = {}
    stages = [(run, stage) for run in suite.models for stage in run.stages]
    for run, stage in stages:
        for note in suite.model.notes(stage.run.first):
            places.setdefault(note, []).append(f"{run.name} {stage.name}")
    found = ["times are estimates of one generation (docs/cost_model.md); nothing was run for them"]
    for note, where in places.items():
        found.append(note if len(where) == len(stages) else f"{', '.join(where)}: {note}")
    return found
