"""`CalibratedModel`: times kernels by the tables that `graphlab calibrate` measured on a machine."""

from __future__ import annotations

import math
from collections import Counter

from graphlab.calibration.data import BATCHED, Calibration
from graphlab.calibration.grid import Grid
from graphlab.errors import GraphlabError
from graphlab.hardware import Hardware
from graphlab.kernels.data import Attention, Contraction, Kernel, StageCall
from graphlab.prediction.calibrated_names import (
    blocked,
    call_name,
    convolution_table,
    curve_name,
    has_own_curve,
    norm_table,
    row_and_rows,
)
from graphlab.prediction.data import KernelTime

COMPILED = "a calibration measures operators one by one, so it cannot time compiled stages"


class CalibratedModel:
    """Times kernels on the machine of `hardware`, whose file holds a calibration; GraphlabError otherwise.

    An operator on a CPU has returned when it is done, so nothing overlaps: `host` is what calling an operator costs
    that computes nothing, `seconds` the rest. Products in another dtype than the calibrated one are refused; what else
    a model does in other dtypes (float64 tables of positions) is timed by its bytes. The runtime "compiled" is refused
    too: merged kernels and generated code were never measured, and eager times would pass for theirs.
    """

    asynchronous = False
    between_calls = 0.0
    runtimes = ("eager-materialized", "eager")

    def __init__(self, hardware: Hardware) -> None:
        if hardware.calibration is None:
            raise GraphlabError(
                f"{hardware.name} has no calibration", hint="graphlab calibrate writes a device file that has one"
            )
        self.calibration: Calibration = hardware.calibration
        self._grids = {name: Grid(table) for name, table in self.calibration.tables.items()}
        self._host = self.calibration.calls["view"]

    def time(self, kernel: Kernel, runtime: str) -> KernelTime:
        """The time of one run of `kernel`; GraphlabError for a product in a dtype not calibrated, or "compiled"."""
        if runtime == "compiled":
            raise GraphlabError(COMPILED, hint="ask for runtime eager, or for a GPU's device file")
        if kernel.family == "none":
            return KernelTime(0.0, "launch", self.calibration.calls.get(call_name(kernel.op), self._host))
        if kernel.dtype != self.calibration.dtype and kernel.family in ("contraction", "attention"):
            raise GraphlabError(
                f"this device is not calibrated for {kernel.dtype}, only for {self.calibration.dtype}",
                hint=f"recast the model: --dtype {self.calibration.dtype}",
            )
        least = self.calibration.calls["add"]
        total = max(self._seconds(kernel) + self._layout(kernel) + self._faults(kernel), least)
        return KernelTime(max(total - self._host, 0.0), self._bound(kernel, total), self._host)

    def notes(self, call: StageCall) -> list[str]:
        """The machine, and which operators were timed by the curve of another."""
        found = self.calibration
        lines = [
            f"measured by graphlab calibrate on {found.date}: {found.machine}, {found.threads} threads, "
            f"torch {found.torch}, {found.rounds} rounds"
        ]
        others = Counter(kernel.op for kernel in call.run("fused") if not has_own_curve(kernel))
        if others:
            share = sum(others.values()) / max(sum(1 for _ in call.run("fused")), 1)
            names = ", ".join(sorted(others))
            lines.append(f"{share:.1%} of the calls have no curve of their own and take their family's: {names}")
        return lines

    def _seconds(self, kernel: Kernel) -> float:
        if kernel.family == "attention" and kernel.attention is not None:
            return self._attention(kernel.attention)
        if kernel.family == "contraction" and kernel.contraction is not None:
            return self._product(kernel, kernel.contraction)
        if kernel.family in ("normalization", "softmax", "reduction"):
            return self._grids[norm_table(kernel)].seconds(row_and_rows(kernel))
        return self._grids[curve_name(kernel)].seconds([max(kernel.bytes, 1)])

    def _product(self, kernel: Kernel, sizes: Contraction) -> float:
        if sizes.window:
            table = convolution_table(kernel, sizes)
            if table == "conv_depthwise":
                return self._grids[table].seconds([sizes.m, sizes.batch * sizes.n, sizes.k])
            images = [sizes.images] if table in BATCHED else []
            return sizes.batch * self._grids[table].seconds([*images, sizes.m, *blocked(sizes)])
        if sizes.batch > 1:
            return self._grids["matmul"].seconds([sizes.batch, sizes.m, sizes.n, sizes.k])
        return self._grids["linear"].seconds([sizes.m, sizes.n, sizes.k])

    def _attention(self, sizes: Attention) -> float:
        kv = causal_keys(sizes.q, sizes.kv) if sizes.causal else float(sizes.kv)
        heads = sizes.batch * sizes.heads
        tail = heads * sizes.q * (sizes.kv % self.calibration.vector) * self.calibration.tail_seconds
        return self._grids["attention"].seconds([heads, sizes.q, kv, sizes.width]) + tail

    def _layout(self, kernel: Kernel) -> float:
        """Seconds more than in memory order: what copying the strided reads costs more than copying them straight."""
        if kernel.strided is None:
            return 0.0
        run, nbytes = kernel.strided.run, 2 * kernel.strided.nbytes
        if kernel.family == "movement" and curve_name(kernel) == "clone":
            nbytes = max(nbytes, kernel.bytes)
        step = math.gcd(kernel.strided.step, 4096)
        strided = self._grids["strided_copy"].seconds([step, run, nbytes])
        return max(strided - self._grids["clone"].seconds([nbytes]), 0.0)

    def _faults(self, kernel: Kernel) -> float:
        if kernel.bytes_written < self.calibration.fault_from_bytes:
            return 0.0
        return kernel.bytes_written * self.calibration.fault_seconds_per_byte

    def _bound(self, kernel: Kernel, total: float) -> str:
        if total < 2 * self.calibration.calls["add"]:
            return "launch"
        return "compute" if kernel.family in ("contraction", "attention") else "memory"


KEY_BLOCK = 512


def causal_keys(q: int, kv: int) -> float:
    """Keys that a query meets in torch's fused causal attention on CPUs, on average.

    A block of queries goes through whole blocks of keys, as far as its last query may look. Source: pytorch,
    aten/src/ATen/native/cpu/FlashAttentionKernel.cpp, `cpu_flash_attention`: `num_keys`, and the blocks' sizes.
    """
    block = 256 if q >= 768 else 64 if q >= 192 else 32
    met = 0
    for first in range(0, q, block):
        queries = min(block, q - first)
        seen = min(first + queries, kv)
        met += queries * min(-(-seen // KEY_BLOCK) * KEY_BLOCK, kv)
    return max(met / q, 1.0)
