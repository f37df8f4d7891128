"""Which table of a calibration a kernel is read from, and at which sizes."""

from __future__ import annotations

from graphlab.calibration.data import CALLS, MOVES, NORMS, POINTWISE
from graphlab.kernels.data import Contraction, Kernel

_ITEM = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}

BLOCK = 16
"""Channels of a block of oneDNN's layouts on AVX-512 (nChw16c); with shorter vectors blocks of 8 leave less to fill."""

_ALIASES = {
    "rsub": "sub", "subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div", "outer": "mul",
    "masked_fill": "where", "maximum": "clamp", "minimum": "clamp", "square": "pow", "concat": "cat", "stack": "cat",
    "concatenate": "cat", "reciprocal": "div", "abs": "neg",
    "full": "fill", "full_like": "fill", "zeros": "fill", "ones": "fill", "new_ones": "fill", "new_zeros": "fill",
    "zeros_like": "fill", "ones_like": "fill", "arange": "fill", "fill_": "fill", "zero_": "fill", "new_full": "fill",
    "reshape": "clone", "flatten": "clone", "contiguous": "clone", "copy": "clone", "_to_copy": "to",
    "index": "embedding", "gather": "embedding", "index_select": "embedding", "log": "exp", "erf": "exp",
}  # fmt: skip
"""Operators that do the same work as one with a curve."""

_OTHERS = {"pointwise": "add", "movement": "clone", "lookup": "embedding"}
"""{family: the curve of operators that have none}."""

_TANH_FLOPS = 7
"""FLOP an element above which a gelu is the one by tanh (9), below which the exact one (5): docs/cost_model.md."""


def call_name(op: str) -> str:
    """ "view" of "aten.view.default"; in-place variants lose their underscore."""
    name = op.split(".")[1] if op.startswith("aten.") else op
    name = name.rstrip("_") or name
    if name in CALLS:
        return name
    return "split" if name.startswith("split") else name


def curve_name(kernel: Kernel) -> str:
    """The table of a pointwise kernel, a copy or a look-up."""
    name = call_name(kernel.op)
    if name == "gelu" and kernel.pointwise_flops > _TANH_FLOPS * output_elements(kernel):
        return "gelu_tanh"
    name = _ALIASES.get(name, name)
    if kernel.bytes_read <= kernel.bytes_written and f"{name}_scalar" in POINTWISE:
        return f"{name}_scalar"
    return name if name in POINTWISE or name in MOVES else _OTHERS.get(kernel.family, "clone")


def has_own_curve(kernel: Kernel) -> bool:
    """Whether the operator of `kernel`, or one that does the same work, was measured."""
    if kernel.family in ("none", "attention", "contraction"):
        return True
    name = call_name(kernel.op)
    name = _ALIASES.get(name, name)
    return name in POINTWISE or name in MOVES or name in NORMS


def output_elements(kernel: Kernel) -> int:
    """Elements of the result."""
    return max(kernel.bytes_written // _ITEM.get(kernel.dtype, 4), 1)


def norm_table(kernel: Kernel) -> str:
    """The table of a normalization, softmax or reduction."""
    if kernel.family == "softmax":
        return "softmax"
    if kernel.family == "reduction":
        return "mean"
    name = call_name(kernel.op).removeprefix("native_").removeprefix("_fused_")
    if name in NORMS:
        return name
    return "group_norm" if name in ("batch_norm", "instance_norm") else "layer_norm"


def row_and_rows(kernel: Kernel) -> tuple[int, int]:
    """(elements of a row, rows) of a kernel that sweeps rows.

    Read off its FLOPs, which are so many an element and so many a row (docs/cost_model.md): layer_norm and
    group_norm 5 an element with 1 each for weight and bias, 4 a row; rms_norm 3 with 1 for the weight, 3 a row.
    A reduction has a row for each element of its result; a softmax's rows cannot be told and are taken as 256 long.
    """
    elements = output_elements(kernel)
    table = norm_table(kernel)
    if table == "softmax":
        row = min(256, elements)
        return row, max(elements // row, 1)
    if table == "mean":
        read = max(kernel.bytes_read // _ITEM.get(kernel.dtype, 4), 1)
        return max(read // elements, 1), elements
    each, a_row = (3, 3) if table == "rms_norm" else (5, 4)
    over = kernel.pointwise_flops - each * elements
    rows = max(over % elements if over > 0 else 1, a_row) // a_row
    return max(elements // rows, 1), rows


def convolution_table(kernel: Kernel, sizes: Contraction) -> str:
    """The table of a convolution, by its window and by how many input positions an output position stands for."""
    if sizes.batch > 1 and sizes.n == 1:
        return "conv_depthwise"
    if sizes.window == 1:
        return "conv_1x1"
    ratio = _input_positions(kernel, sizes) / max(sizes.m, 1)
    if ratio >= 0.75 * sizes.window:
        return "conv_patch"
    if sizes.spatial == 3:
        return "conv_3x1x1" if sizes.window <= 9 else "conv_3x3x3"
    if ratio > 2:
        return "conv_3x3_stride2"
    return "conv_3x3_uneven" if _is_uneven(-(-sizes.n // BLOCK)) else "conv_3x3"


def blocked(sizes: Contraction) -> tuple[int, int]:
    """(n, k) with both channels filled up to whole blocks, in which convolutions with a window compute."""
    channels = sizes.k // sizes.window
    if sizes.window == 1 or sizes.n < BLOCK or channels < BLOCK:
        return sizes.n, sizes.k
    return -(-sizes.n // BLOCK) * BLOCK, -(-channels // BLOCK) * BLOCK * sizes.window


def _is_uneven(blocks: int) -> bool:
    """Whether `blocks` cannot be taken two to five at a time."""
    return blocks > 5 and all(blocks % several for several in (2, 3, 4, 5))


def _input_positions(kernel: Kernel, sizes: Contraction) -> float:
    item = _ITEM.get(kernel.dtype, 4)
    channels = max(sizes.k // sizes.window, 1)
    values = kernel.bytes_read // item - sizes.batch * sizes.n * (sizes.k + 1)
    return values / (channels * sizes.batch)
