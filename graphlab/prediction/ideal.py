"""`IdealModel`: every kernel at its roofline. For a device of which no more is known than its peaks."""

from __future__ import annotations

from graphlab.hardware import Hardware
from graphlab.kernels.data import Kernel, StageCall
from graphlab.prediction.data import RUNTIMES, KernelTime


class IdealModel:
    """The longer of arithmetic at the published peak and bytes at the published bandwidth; no overhead at all."""

    asynchronous = False
    between_calls = 0.0
    runtimes = RUNTIMES

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware

    def time(self, kernel: Kernel, runtime: str) -> KernelTime:
        """The roofline of `kernel`, the same under every runtime."""
        peak = self.hardware.peak(kernel.dtype) or self.hardware.peak_flops["float32"]
        compute = kernel.flops / peak + kernel.pointwise_flops / self.hardware.peak_flops["float32"]
        memory = kernel.bytes / self.hardware.bandwidth
        return KernelTime(max(compute, memory), "compute" if compute > memory else "memory")

    def notes(self, call: StageCall) -> list[str]:
        """That these are lower bounds."""
        return [f"{self.hardware.name} is neither calibrated nor has an [execution] table: ideal times, a lower bound"]
