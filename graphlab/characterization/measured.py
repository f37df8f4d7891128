"""Predicted beside measured: the same generation, its guided calls one by one as a profile runs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from graphlab.characterization.data import BASELINE, FUSED, Characterization, ModelRun
from graphlab.generation.recast import recast
from graphlab.generation.runs import StageSource
from graphlab.kernels.data import StageCall
from graphlab.prediction.data import VARIANT, category
from graphlab.prediction.predict import predict
from graphlab.report.profile_data import CallProfile, StageProfile

MEASURED_DTYPE = "float32"
"""What profiles beside predictions run in: a CPU has a kernel for every operator in it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Seconds of one generation of one stage, of one category or, for "total", of all: predicted and measured."""

    model: str
    stage: str
    category: str
    predicted: float
    measured: float

    @property
    def error(self) -> float | None:
        """predicted / measured - 1; None where nothing was measured."""
        return self.predicted / self.measured - 1 if self.measured else None


def comparisons(suite: Characterization) -> Iterator[Comparison]:
    """Every measured stage of `suite`, its total first, then its categories by falling measured time."""
    for run in suite.models:
        if run.name in suite.measured:
            for profile in suite.measured[run.name].stages:
                yield from _stage(suite, run, profile)


def _stage(suite: Characterization, run: ModelRun, profile: StageProfile) -> Iterator[Comparison]:
    series = next(stage for stage in run.stages if stage.name == profile.name)
    source = StageSource(series.run.stage, dynamic=series.source.dynamic, disk=series.source.disk)
    predicted: dict[str, float] = {}
    for call in profile.calls:
        values = run.workload.step_values(series.run.stage, call.step)
        for name, seconds in _predicted(suite, source.at(values), call).items():
            predicted[name] = predicted.get(name, 0.0) + seconds
    measured = _measured(profile)
    yield Comparison(run.name, profile.name, "total", sum(predicted.values()), profile.seconds_total)
    for name in sorted({*predicted, *measured}, key=lambda name: -measured.get(name, 0.0)):
        yield Comparison(run.name, profile.name, name, predicted.get(name, 0.0), measured.get(name, 0.0))


def _measured(profile: StageProfile) -> dict[str, float]:
    """{category: seconds} of a generation; every call of an attention is "attention", as in predictions."""
    found: dict[str, float] = {}
    for call in profile.calls:
        for node in call.nodes:
            name = "attention" if node.attention is not None else node.category
            found[name] = found.get(name, 0.0) + node.seconds * call.times
    return found


def as_captured(call: StageCall) -> str:
    """The runtime that runs `call` as it was captured: running it fuses no attention that the graph spells out."""
    spelled = any(k.category == "attention" and k.op.startswith("aten.") for k in call.run("materialized"))
    return BASELINE if spelled else FUSED


def _predicted(suite: Characterization, call: StageCall, profile: CallProfile) -> dict[str, float]:
    """{category: seconds}, launches counted with their kernel where the device waits for each, as a CPU does."""
    runtime = as_captured(call)
    time = predict(recast(call, MEASURED_DTYPE), suite.model, runtime)
    if suite.model.asynchronous:
        return {name: seconds * profile.times for name, seconds in time.by(category).items()}
    found: dict[str, float] = {}
    for index in time.call.order[VARIANT[runtime]]:
        kernel, spent = time.call.kernels[index], time.times[index]
        found[kernel.category] = found.get(kernel.category, 0.0) + (spent.seconds + spent.host) * profile.times
    return found
