"""`GpuModel`: seconds of a kernel on a GPU, from its published rates, its caches and the constants of the model.

A kernel takes the longest of its arithmetic (tiles and waves), its traffic with main memory and its traffic with the
second-level cache, and at least what any kernel takes; a group norm also what its few blocks of threads take. What its
neighbours leave in the cache is served from there when it fits in half of it. Not modelled: two kernels at once, power
limits, the layout a library converts to.
"""

from __future__ import annotations

from graphlab.errors import DeviceFileError
from graphlab.graph import DTYPE_BYTES
from graphlab.hardware import Hardware
from graphlab.kernels.attentions import materialized_kernels
from graphlab.kernels.data import Kernel, StageCall
from graphlab.prediction.constants import GpuConstants, gpu_constants
from graphlab.prediction.data import RUNTIMES, KernelTime
from graphlab.prediction.flash import EXPONENTIALS_PER_CLOCK, WIDEST, FlashEngine, attention_seconds
from graphlab.prediction.group_norm import moments_steps
from graphlab.prediction.locality import fetched_bytes
from graphlab.prediction.tiles import Engine, contraction_seconds


class GpuModel:
    """Times kernels on a GPU whose device file has an `[execution]` table; launches run ahead of the device.

    `tf32` multiplies float32 matrices in TF32; `flash` is the generation of the fused attention kernels, 1 up to
    PyTorch 2.1 and 2 after it.
    """

    asynchronous = True
    runtimes = RUNTIMES

    @property
    def between_calls(self) -> float:
        """Seconds the host spends between two calls of a denoiser: its scheduler and guidance, op by op."""
        return self.constants.between_operators * self.constants.dispatch_seconds

    def __init__(
        self, hardware: Hardware, constants: GpuConstants | None = None, *, tf32: bool = False, flash: int = 2
    ) -> None:
        if hardware.execution is None:
            raise DeviceFileError(f"{hardware.name} has no [execution] table", hint="copy one from a shipped GPU file")
        self.hardware = hardware
        self.execution = hardware.execution
        self.constants = constants or gpu_constants()
        self.tf32 = tf32
        self.slower = self.constants.first_flash_slowdown if flash == 1 else 1.0
        self._known: dict[tuple[Kernel, str], KernelTime] = {}

    def time(self, kernel: Kernel, runtime: str) -> KernelTime:
        """The time of one run of `kernel`; equal kernels are worked out once."""
        key = (kernel, runtime)
        if key not in self._known:
            self._known[key] = self._time(kernel, runtime)
        return self._known[key]

    def notes(self, call: StageCall) -> list[str]:
        """Peaks that stand in for unpublished ones, attention that no fused kernel takes, ops without a rule."""
        found = []
        kernels = [call.kernels[index] for index in set(call.order["fused"])]
        missing = sorted({k.dtype for k in kernels if k.flops and self.hardware.peak(k.dtype) is None})
        if missing:
            found.append(f"{self.hardware.name} has no published peak for {', '.join(missing)}: float32's is taken")
        if any(not self._fusable(k) for k in kernels if k.attention is not None):
            found.append(f"attention wider than {WIDEST} a head runs with its scores in memory whatever the runtime")
        unknown = call.unknown_nodes
        return [*found, f"{unknown} calls without a rule are timed by their bytes"] if unknown else found

    def _time(self, kernel: Kernel, runtime: str) -> KernelTime:
        host = 0.0 if runtime == "compiled" else self.constants.dispatch_seconds
        if kernel.family == "none":
            return KernelTime(0.0, "memory", host * self.constants.view_share)
        if kernel.attention is not None and not self._fusable(kernel):
            return self._unfused(kernel, runtime)
        compute, memory = self._compute(kernel), self._memory(kernel, extra_bytes(kernel, runtime))
        if kernel.group_norm is not None and runtime != "compiled":  # each value waits for memory: that is the bound
            moments = moments_steps(kernel.group_norm, self.execution) * self.constants.moment_seconds
            memory = max(memory, moments + self._memory(kernel, 0))
        floor = 0.0 if kernel.family == "merged" else self._floor(runtime)
        seconds = max(compute, memory, floor)
        bound = "launch" if seconds == floor else "compute" if compute >= memory else "memory"
        return KernelTime(seconds, bound, host)

    def _floor(self, runtime: str) -> float:
        return self.constants.replay_seconds if runtime == "compiled" else self.constants.kernel_seconds

    def _unfused(self, kernel: Kernel, runtime: str) -> KernelTime:
        """An attention that no fused kernel takes: the kernels that run in its place, together."""
        shape = kernel.attention
        assert shape is not None
        scores = shape.batch * shape.heads * shape.q * shape.kv * DTYPE_BYTES[kernel.dtype]
        parts = [self.time(part, runtime) for part in materialized_kernels(kernel, scores)]
        slowest = max(parts, key=lambda part: part.seconds)
        return KernelTime(sum(p.seconds for p in parts), slowest.bound, sum(p.host for p in parts))

    @staticmethod
    def _fusable(kernel: Kernel) -> bool:
        return kernel.attention is None or kernel.attention.width <= WIDEST

    def _peak(self, kernel: Kernel) -> float:
        """FLOP/s of products: in float32, convolutions use TF32 where there is one, as PyTorch does unless told not to;
        the other products do where `tf32` is set (torch.set_float32_matmul_precision("high"))."""
        peaks = self.hardware.peak_flops
        if kernel.dtype == "float32" and "tf32" in peaks and (self.tf32 or kernel.category == "convolution"):
            return peaks["tf32"]
        return self.hardware.peak(kernel.dtype) or peaks["float32"]

    def _compute(self, kernel: Kernel) -> float:
        count, constants = self.execution.multiprocessors, self.constants
        pointwise = kernel.pointwise_flops / self.hardware.peak_flops["float32"]
        if kernel.attention is not None:
            share = (self.execution.attention_share or constants.attention_share) / self.slower
            units = EXPONENTIALS_PER_CLOCK * self.execution.boost_hz / self.slower
            vector = self.hardware.peak_flops["float32"] / count / self.slower
            engine = FlashEngine(
                count, self._peak(kernel) * share / count, units, vector, constants.attention_block_seconds
            )
            return attention_seconds(kernel.attention, _a_score(kernel), engine)
        if kernel.contraction is None:
            return pointwise
        if kernel.contraction.window and kernel.contraction.batch > 1 and kernel.contraction.n == 1:
            # Depthwise: nothing to share between channels, so it runs on the vector units and not as a product
            # (ATen/native/cuda/DepthwiseConv2d.cu, DepthwiseConv3d.cu).
            return kernel.flops / self.hardware.peak_flops["float32"] + pointwise
        whole = self.execution.contraction_share or constants.contraction_share
        share = whole * (constants.convolution_share if kernel.category == "convolution" else 1.0)
        feed = constants.cache_bytes_per_clock * self.execution.boost_hz
        tiles = Engine(count, self._peak(kernel) * share / count, feed, constants.tile_clocks / self.execution.boost_hz)
        return contraction_seconds(kernel.contraction, DTYPE_BYTES[kernel.dtype], tiles) + pointwise

    def _memory(self, kernel: Kernel, extra: int) -> float:
        """The longer of the traffic with main memory and with the second-level cache."""
        execution, share = self.execution, self.constants.bandwidth_share
        extra_memory = extra_cache = 0.0
        if kernel.strided is not None and kernel.contraction is None and kernel.attention is None:
            reads = kernel.strided
            extra_memory = fetched_bytes(reads, execution.sector_bytes, execution.l2_bytes / 2) - reads.nbytes
            extra_cache = fetched_bytes(reads, execution.sector_bytes, execution.l1_bytes / 2) - reads.nbytes
        moved = kernel.bytes + extra
        resident = kernel.bytes <= execution.l2_bytes / 2
        feed = self.constants.cache_bytes_per_clock * execution.boost_hz * execution.multiprocessors
        cached = (moved + extra_cache) / (feed * share)
        weights_and_more = extra_memory + (0 if resident and kernel.contraction is None else moved)
        return max(weights_and_more / (self.hardware.bandwidth * share), cached)


def _a_score(kernel: Kernel) -> float:
    """Pointwise FLOP of an attention for one score, its exponential apart."""
    shape = kernel.attention
    assert shape is not None
    scores = shape.batch * shape.heads * shape.q * shape.kv
    return max(kernel.pointwise_flops / scores - 1, 0.0) if scores else 0.0


def extra_bytes(kernel: Kernel, runtime: str) -> int:
    """Bytes PyTorch's own kernels move beyond the convention of the cost model.

    A group norm reads its input once for the moments and once to scale it (ATen/native/cuda/group_norm_kernel.cu). Run
    op by op, a convolution's bias is a pass of its own over the output (ATen/native/Convolution.cpp, cuDNN backend).
    """
    if kernel.family == "normalization" and "group_norm" in kernel.op:
        return kernel.bytes_read
    biased = kernel.category == "convolution" and kernel.pointwise_flops > 0
    return 2 * kernel.bytes_written if biased and runtime != "compiled" else 0
