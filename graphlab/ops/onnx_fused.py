"""The fused operators of ONNX Runtime (com.microsoft) and the ONNX operators that ATen has no counterpart for.

Each counts what the operators it stands for count written out; what lies between them is not written. Attention in
all its spellings is read as scaled dot products (`graphlab.onnx_graph`) and has no rule here.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import first, product

_ACTIVATIONS = {
    "": 0, "Relu": 1, "Tanh": 1, "Sigmoid": 4, "LeakyRelu": 2, "Clip": 2, "HardSigmoid": 4, "FastGelu": 9, "Gelu": 5,
}  # fmt: skip


def _activation(name: str) -> int:
    """Pointwise FLOP an element of the activation a fused product names; 5 for one that is not known by name."""
    return _ACTIVATIONS.get(name, 5)


@op("com.microsoft.Gelu", category="activation", axes="same")
def gelu(self: TensorSpec, *, out: TensorSpec) -> Work:
    """5 an element: 0.5 * x * (1 + erf(x * c))."""
    return Work(0, 5 * out.numel)


@op("com.microsoft.BiasGelu", category="activation", axes="broadcast")
def bias_gelu(self: TensorSpec, bias: TensorSpec, *, out: TensorSpec) -> Work:
    """6 an element: the bias, and 5 as gelu."""
    return Work(0, 6 * out.numel)


@op("com.microsoft.FastGelu", category="activation", axes="broadcast")
def fast_gelu(self: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """9 an element as gelu by tanh; the bias 1 more."""
    return Work(0, (9 + (bias is not None)) * out.numel)


@op("com.microsoft.QuickGelu", category="activation", axes="same")
def quick_gelu(self: TensorSpec, *, out: TensorSpec) -> Work:
    """6 an element: x * sigmoid(alpha * x)."""
    return Work(0, 6 * out.numel)


@op("com.microsoft.BiasSplitGelu", category="activation", axes="same")
def bias_split_gelu(self: TensorSpec, bias: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an input element for the bias; an output element 6: gelu of the second half, and the product."""
    return Work(0, self.numel + 6 * out.numel)


@op("com.microsoft.BiasAdd", category="elementwise", axes="broadcast")
def bias_add(self: TensorSpec, bias: TensorSpec, skip: TensorSpec, *, out: TensorSpec) -> Work:
    """2 an element: x + bias + skip."""
    return Work(0, 2 * out.numel)


@op("com.microsoft.SkipLayerNormalization", category="normalization", axes="broadcast")
def skip_layer_norm(
    input: TensorSpec,
    skip: TensorSpec,
    gamma: TensorSpec,
    beta: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    *,
    out: Any,
) -> Work:
    """1 an element for the sum and 1 for a bias; 5 an element and 4 a row as layer_norm; gamma and beta 1 each."""
    total = first(out)
    rows = product(total.shape[:-1])
    each = 1 + (bias is not None) + 5 + 1 + (beta is not None)
    return Work(0, each * total.numel + 4 * rows)


@op("com.microsoft.SkipSimplifiedLayerNormalization", category="normalization", axes="broadcast")
def skip_rms_norm(
    input: TensorSpec, skip: TensorSpec, gamma: TensorSpec, bias: TensorSpec | None = None, *, out: Any
) -> Work:
    """1 an element for the sum and 1 for a bias; 3 an element and 3 a row as rms_norm; gamma 1."""
    total = first(out)
    rows = product(total.shape[:-1])
    return Work(0, (1 + (bias is not None) + 3 + 1) * total.numel + 3 * rows)


@op("com.microsoft.GroupNorm", category="normalization", axes="same")
def group_norm(
    input: TensorSpec, gamma: TensorSpec, beta: TensorSpec, groups: int, silu: bool = False, *, out: TensorSpec
) -> Work:
    """As group_norm with weight and bias: 7 an element, 4 a row of a group; silu 5 more an element."""
    return Work(0, (7 + 5 * silu) * out.numel + 4 * input.shape[0] * groups)


@op("com.microsoft.SkipGroupNorm", category="normalization", axes="broadcast")
def skip_group_norm(
    input: TensorSpec,
    gamma: TensorSpec,
    beta: TensorSpec,
    groups: int,
    silu: bool,
    skip: TensorSpec,
    bias: TensorSpec | None = None,
    *,
    out: Any,
) -> Work:
    """As GroupNorm; 1 an element for the sum and 1 for a bias."""
    total = first(out)
    each = 8 + (bias is not None) + 5 * silu
    return Work(0, each * total.numel + 4 * input.shape[0] * groups)


@op("com.microsoft.FusedMatMul", category="matmul", axes="matmul")
def fused_matmul(self: TensorSpec, other: TensorSpec, alpha: Any = 1.0, *, out: TensorSpec) -> Work:
    """As matmul; alpha 1 pointwise an element when it is not 1."""
    return Work(2 * out.numel * self.shape[-1], out.numel if alpha != 1 else 0)


@op("com.microsoft.FusedGemm", category="matmul", axes="*b k, k n -> *b n")
def fused_gemm(
    self: TensorSpec, other: TensorSpec, bias: TensorSpec | None, activation: str, *, out: TensorSpec
) -> Work:
    """As matmul; pointwise an element: the bias 1, and the activation."""
    return Work(2 * out.numel * self.shape[-1], ((bias is not None) + _activation(activation)) * out.numel)


@op("com.microsoft.FusedConv", category="convolution", axes="convolution")
def fused_conv(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    z: TensorSpec | None = None,
    activation: str = "",
    *,
    out: TensorSpec,
) -> Work:
    """As convNd; pointwise an element: the bias 1, z 1, and the activation."""
    taps: Dim = product(weight.shape[2:]) * weight.shape[1]
    each = (bias is not None) + (z is not None) + _activation(activation)
    return Work(2 * out.numel * taps, each * out.numel)


def _rotary_read(
    self: TensorSpec, cos: TensorSpec, sin: TensorSpec, positions: Any = None, share: Any = None, *, out: TensorSpec
) -> Dim:
    """x, and of each table (positions, d / 2) a row a token; tables (b, tokens, d / 2) are read whole."""
    if len(cos.shape) == 3:
        rows = cos.distinct_bytes
    else:
        rows = self.shape[-2] * cos.shape[-1] * cos.itemsize
    return self.distinct_bytes + 2 * rows + (positions.distinct_bytes if positions is not None else 0)


@op("onnx.RotaryEmbedding", category="elementwise", axes="same", bytes_read=_rotary_read)
def rotary(
    self: TensorSpec, cos: TensorSpec, sin: TensorSpec, positions: Any = None, share: Any = None, *, out: TensorSpec
) -> Work:
    """3 a rotated element: of a pair, four products and two sums. `share` is (rotated, all) of a head."""
    width = out.shape[-1] if share is None else out.shape[-1] * share[0] // share[1]
    return Work(0, 3 * product(out.shape[:-1]) * width)


@op("onnx.PRelu", category="activation", axes="broadcast")
def prelu(self: TensorSpec, slope: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: max(0, x) + slope * min(0, x)."""
    return Work(0, 4 * out.numel)


@op("onnx.OneHot", category="embedding", axes="unknown")
def one_hot(indices: TensorSpec, values: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is computed: an off value an element, and an on value an index."""
    return Work()


@op("com.microsoft.LengthMask", category="elementwise", axes="unknown")
def length_mask(lengths: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an element: a comparison of each key's place with the length."""
    return Work(0, out.numel)
