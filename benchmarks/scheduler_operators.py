"""Operators a pipeline runs between two calls of a denoiser, counted: `python benchmarks/scheduler_operators.py`.

The scheduler's `scale_model_input` and `step`, and the arithmetic of classifier-free guidance, of the schedulers that
the pipelines of the built-in models use by default. The median is `between_operators` of the GPU time model.
"""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

SCHEDULERS = (
    "PNDMScheduler", "DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler",
    "FlowMatchEulerDiscreteScheduler", "CogVideoXDDIMScheduler", "UniPCMultistepScheduler", "DDPMScheduler",
)  # fmt: skip


class Count(TorchDispatchMode):
    """Counts operators that make a tensor anew; views are not launched."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not func.is_view:
            Count.total += 1
        return func(*args, **(kwargs or {}))


def operators(name: str) -> int:
    """Operators of the tenth of twenty steps under the scheduler `name`, guidance included."""
    import diffusers

    scheduler = getattr(diffusers, name)()
    scheduler.set_timesteps(20)
    sample, output = torch.randn(1, 4, 8, 8), torch.randn(2, 4, 8, 8)
    for time in scheduler.timesteps[:11]:
        Count.total = 0
        with Count():
            pair = torch.cat([sample] * 2)
            if hasattr(scheduler, "scale_model_input"):
                pair = scheduler.scale_model_input(pair, time)
            plain, guided = output.chunk(2)
            guess = plain + 7.5 * (guided - plain)
            sample = scheduler.step(guess, time, sample, return_dict=False)[0]
    return Count.total


def main() -> None:
    """Prints the count of every scheduler and the median."""
    warnings.filterwarnings("ignore")
    counts = {name: operators(name) for name in SCHEDULERS}
    for name, count in counts.items():
        print(f"{name:36} {count}")
    print(f"median {statistics.median(counts.values()):g}")


if __name__ == "__main__":
    main()
