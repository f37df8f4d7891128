"""A stage's call in another floating dtype: the same kernels with narrower or wider elements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphlab.errors import BindingError
from graphlab.graph import DTYPE_BYTES
from graphlab.kernels.data import Kernel, StageCall

FLOATS = ("float32", "float16", "bfloat16")
"""The dtypes a call can be recast to."""


def recast(call: StageCall, dtype: str) -> StageCall:
    """`call` with everything that is in its own dtype in `dtype`; bytes scale with the element.

    Calls in another dtype (float32 islands, integers) stay. Casts between the two are kept though a model that is
    all float32 has none: bytes are up to a few percent high then, and a note says so. BindingError for other dtypes.
    """
    if dtype not in FLOATS:
        raise BindingError(f"cannot recast to {dtype!r}", hint=f"known: {', '.join(FLOATS)}")
    if dtype == call.dtype or call.dtype not in FLOATS:
        return call
    if DTYPE_BYTES[dtype] == DTYPE_BYTES[call.dtype]:
        scale = 1.0
    else:
        scale = DTYPE_BYTES[dtype] / DTYPE_BYTES[call.dtype]
    kernels = tuple(_kernel(kernel, call.dtype, dtype, scale) for kernel in call.kernels)

    def scaled(counts: Mapping[str, int]) -> dict[str, int]:
        return {name: int(value * scale) for name, value in counts.items()}

    return replace(
        call,
        dtype=dtype,
        kernels=kernels,
        weight_bytes=int(call.weight_bytes * scale),
        cache_bytes=int(call.cache_bytes * scale),
        bytes={
            "materialized": sum(kernels[i].bytes for i in call.order["materialized"]),
            "fused": sum(kernels[i].bytes for i in call.order["fused"]),
        },
        peak_bytes=scaled(call.peak_bytes),
        score_bytes=int(call.score_bytes * scale),
        notes=(*call.notes, f"analysed in {call.dtype}, bytes scaled to {dtype}"),
    )


def _kernel(kernel: Kernel, old: str, new: str, scale: float) -> Kernel:
    if kernel.dtype != old:
        return kernel
    strided = kernel.strided
    return replace(
        kernel,
        dtype=new,
        bytes_read=int(kernel.bytes_read * scale),
        bytes_written=int(kernel.bytes_written * scale),
        strided=strided
        and strided._replace(
            nbytes=int(strided.nbytes * scale),
            run=max(1, int(strided.run * scale)),
            step=int(strided.step * scale),
        ),
    )
