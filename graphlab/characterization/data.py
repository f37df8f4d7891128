"""A `ModelRun` is one model's generation worked out, a `Characterization` several of them on one device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from graphlab.generation.runs import StageRun, StageSource
from graphlab.generation.times import StageTime, stage_time
from graphlab.hardware import Hardware
from graphlab.kernels.data import Kernel, StageCall
from graphlab.prediction.data import KernelModel
from graphlab.workload import Workload

if TYPE_CHECKING:
    from graphlab.report.profile_data import ProfileReport

BASELINE, FUSED = "eager-materialized", "eager"
"""The two runtimes every figure shows side by side: attention scores in memory, and fused attention."""

FAMILIES = (
    "language prefill", "language decode", "diffusion", "masked transformer", "autoregressive transformer", "one pass",
)  # fmt: skip
"""What a stage is, told from how it runs (`family`)."""


@dataclass(frozen=True)
class StageSeries:
    """One stage of a model: its run over the generation and its family; `source` makes its calls at other sizes."""

    run: StageRun
    source: StageSource
    family: str

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.run.stage.name


@dataclass(frozen=True)
class ModelRun:
    """One model's generation: stages in the order they run. `kind` is text-to-image, text-to-video or language."""

    name: str
    kind: str
    workload: Workload
    stages: tuple[StageSeries, ...]

    @cached_property
    def primary(self) -> StageSeries:
        """The stage that computes most: the denoiser, or the decoder."""
        return max(self.stages, key=lambda stage: stage.run.total(lambda call: call.flops))

    @property
    def family(self) -> str:
        """The family of the stage that runs in steps, or of the primary one."""
        stepping = [stage for stage in self.stages if stage.family != "one pass"]
        return max(stepping, key=lambda s: len(s.run.steps)).family if stepping else self.primary.family

    def total(self, quantity: Callable[[StageCall], int]) -> int:
        """`quantity` over all calls of one generation."""
        return sum(stage.run.total(quantity) for stage in self.stages)

    @property
    def parameters(self) -> int:
        """Parameters, weights that stages share counted once."""
        return sum(call.parameters for call in self._distinct())

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, shared ones once."""
        return sum(call.weight_bytes for call in self._distinct())

    def peak_bytes(self, way: str) -> int:
        """Largest activation bytes of any call, caches among them; `way` is "materialized" or "fused"."""
        return max(max(stage.run.level(lambda call: call.peak_bytes[way])) for stage in self.stages)

    def _distinct(self) -> list[StageCall]:
        found = {stage.run.stage.weights or stage.name: stage.run.first for stage in self.stages}
        return list(found.values())


@dataclass(frozen=True)
class Characterization:
    """`models` on `hardware`, timed by `model`; `measured` maps model names to profiles of this machine.

    `sweeps` says whether figures may work out primary stages at other sizes (more captures).
    """

    hardware: Hardware
    model: KernelModel
    models: tuple[ModelRun, ...]
    dtype: str | None = None
    sweeps: bool = True
    measured: Mapping[str, ProfileReport] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _times: dict[tuple[str, str, str], StageTime] = field(default_factory=dict)

    def time(self, run: ModelRun, stage: StageSeries, runtime: str) -> StageTime:
        """Estimated times of `stage` over the generation."""
        key = (run.name, stage.name, runtime)
        if key not in self._times:
            self._times[key] = stage_time(stage.run, self.model, runtime)
        return self._times[key]

    def seconds(self, run: ModelRun, runtime: str) -> float:
        """Estimated seconds of one generation of `run`."""
        return sum(self.time(run, stage, runtime).seconds for stage in run.stages)

    def by(self, run: ModelRun, runtime: str, key: Callable[[Kernel], str]) -> dict[str, float]:
        """{key of a kernel, or "idle": estimated seconds} of one generation of `run`."""
        found: dict[str, float] = {}
        for stage in run.stages:
            for name, seconds in self.time(run, stage, runtime).by(key).items():
                found[name] = found.get(name, 0.0) + seconds
        return found
