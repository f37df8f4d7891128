"""A stage's run on a device: seconds at every step and over the generation, by whatever kernels are grouped by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graphlab.generation.runs import StageRun
from graphlab.generation.steps import is_sampled, lines
from graphlab.kernels.data import Kernel
from graphlab.prediction.data import CallTime, KernelModel
from graphlab.prediction.predict import predict
from graphlab.stage_analysis import changing


@dataclass(frozen=True)
class StageTime:
    """Estimated seconds of one stage over one generation; `calls` are the times of `run.calls`, `between`
    the seconds of a step that no call of it takes."""

    run: StageRun
    runtime: str
    calls: tuple[CallTime, ...]
    between: float = 0.0

    @property
    def seconds(self) -> float:
        """The whole generation."""
        return self._sum([call.seconds for call in self.calls]) + self.between * len(self.run.steps)

    @property
    def busy(self) -> float:
        """Of them, seconds in which the device works."""
        return self._sum([call.busy for call in self.calls])

    @property
    def idle(self) -> float:
        """Of them, seconds in which the device waits for the host, between the steps too."""
        return self.seconds - self.busy

    def per_step(self) -> list[float]:
        """Seconds of every step; straight lines between the steps that were worked out."""
        run = self.run
        known = [call.seconds * step.repeats + self.between for step, call in zip(run.at, self.calls, strict=True)]
        return [
            known[left] * (1 - share) + known[left + 1] * share if share else known[left]
            for left, share in lines(run.steps, run.at)
        ]

    def by(self, key: Callable[[Kernel], str]) -> dict[str, float]:
        """{key of a kernel, or "idle": seconds} over the generation, in falling seconds; they add up to `seconds`."""
        return self._groups([call.by(key) for call in self.calls])

    def bounds(self) -> dict[str, float]:
        """{"compute", "memory", "launch" or "idle": seconds} over the generation."""
        return self._groups([call.bounds() for call in self.calls])

    def _groups(self, groups: list[dict[str, float]]) -> dict[str, float]:
        names = dict.fromkeys(name for group in groups for name in group)
        sums = {name: self._sum([group.get(name, 0.0) for group in groups]) for name in names}
        if self.between:
            sums["idle"] = sums.get("idle", 0.0) + self.between * len(self.run.steps)
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def _sum(self, values: list[float]) -> float:
        run = self.run
        parts = zip(run.weights, run.at, values, strict=True)
        return sum(weight * step.repeats * value for weight, step, value in parts)


def stage_time(run: StageRun, model: KernelModel, runtime: str) -> StageTime:
    """`run` on the device of `model` under `runtime`.

    Between two steps of a denoiser its pipeline runs the scheduler op by op, compiled or not; the device waits.
    """
    steps = has_scheduler(run)
    return StageTime(
        run,
        runtime,
        tuple(predict(call, model, runtime) for call in run.calls),
        model.between_calls if steps else 0.0,
    )


def has_scheduler(run: StageRun) -> bool:
    """Whether a scheduler works between the calls of `run`: a sampled stage of several steps whose sizes stay."""
    return len(run.steps) > 1 and is_sampled(run.stage) and not changing(run.stage)
