"""`graphlab::rotary_embedding`: pairs of channels turned by an angle per token (Su 2021, arXiv:2104.09864)."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18, value_of
from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import product

aten = torch.ops.aten


def decompose(emit: Emit, x: Any, cos: Any, sin: Any, interleaved: bool = False, heads_first: bool = True) -> Any:
    """x (b, h, t, d), (b, t, h, d) without `heads_first`, or (b, t, d) to x with its first r channels turned.

    cos, sin (b or 1, t, r / 2) hold one angle a pair. A pair is channels i and i + r / 2, or 2 i and 2 i + 1 when
    `interleaved`; it becomes (first cos - second sin, second cos + first sin), computed in the wider of the dtypes and
    returned in that of x. RuntimeError for other ranks, and for more angles than half the channels.
    """
    wide, dtype, half = value_of(x).shape[-1], value_of(x).dtype, value_of(cos).shape[-1]
    _check(value_of(x), value_of(cos), value_of(sin))
    if value_of(x).dim() == 4:
        cos, sin = (emit(aten.unsqueeze.default, table, 1 if heads_first else 2) for table in (cos, sin))
    step, start, stop = (2, 1, 2 * half) if interleaved else (1, half, half)
    first = emit(aten.slice.Tensor, x, -1, 0, stop, step)
    second = emit(aten.slice.Tensor, x, -1, start, 2 * half, step)
    real = emit(aten.sub.Tensor, emit(aten.mul.Tensor, first, cos), emit(aten.mul.Tensor, second, sin))
    turned = emit(aten.add.Tensor, emit(aten.mul.Tensor, second, cos), emit(aten.mul.Tensor, first, sin))
    if interleaved:
        out = emit(aten.flatten.using_ints, emit(aten.stack.default, [real, turned], -1), -2)
    else:
        out = emit(aten.cat.default, [real, turned], -1)
    if value_of(out).dtype != dtype:
        out = emit(aten.to.dtype, out, dtype)
    if wide == 2 * half:
        return out
    return emit(aten.cat.default, [out, emit(aten.slice.Tensor, x, -1, 2 * half, wide)], -1)


def _check(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    if x.dim() not in (3, 4) or cos.dim() != 3 or sin.dim() != 3:
        raise RuntimeError(
            f"graphlab::rotary_embedding takes three or four axes and tables of three, got {x.dim()}, {cos.dim()} and "
            f"{sin.dim()}"
        )
    if cos.shape[-1] != sin.shape[-1] or 2 * cos.shape[-1] > x.shape[-1]:
        raise RuntimeError(
            f"graphlab::rotary_embedding turns pairs of {x.shape[-1]} channels, got {cos.shape[-1]} and "
            f"{sin.shape[-1]} angles"
        )


def onnx(x: Any, cos: Any, sin: Any, interleaved: bool = False, heads_first: bool = True) -> Any:
    """Slices, products and Concat. The kernels are RotaryEmbedding of opset 23 and of com.microsoft, which take three
    axes for tokens first; the latter's tables have no batch."""
    onnx_op = opset18()
    half = cos.shape[-1]
    wider = cos if x.dtype.itemsize < cos.dtype.itemsize else x
    if len(x.shape) == 4:
        cos, sin = (onnx_op.Unsqueeze(table, [1 if heads_first else 2]) for table in (cos, sin))
    given, cos, sin = (onnx_op.CastLike(value, wider) for value in (x, cos, sin))
    step, start, stop = (2, 1, 2 * half) if interleaved else (1, half, half)
    first = onnx_op.Slice(given, [0], [stop], [-1], [step])
    second = onnx_op.Slice(given, [start], [2 * half], [-1], [step])
    real = onnx_op.Sub(onnx_op.Mul(first, cos), onnx_op.Mul(second, sin))
    turned = onnx_op.Add(onnx_op.Mul(second, cos), onnx_op.Mul(first, sin))
    if interleaved:
        width = onnx_op.Constant(value_ints=[2 * half])
        pairs = onnx_op.Concat(onnx_op.Unsqueeze(real, [-1]), onnx_op.Unsqueeze(turned, [-1]), axis=-1)
        out = onnx_op.Reshape(pairs, onnx_op.Concat(onnx_op.Shape(real, end=-1), width, axis=0))
    else:
        out = onnx_op.Concat(real, turned, axis=-1)
    out = onnx_op.CastLike(out, x)
    if x.shape[-1] == 2 * half:
        return out
    return onnx_op.Concat(out, onnx_op.Slice(x, [2 * half], [x.shape[-1]], [-1]), axis=-1)


ROTARY_EMBEDDING = define(
    "rotary_embedding(Tensor x, Tensor cos, Tensor sin, bool interleaved=False, bool heads_first=True) -> Tensor",
    decompose,
    onnx,
)


@op(str(ROTARY_EMBEDDING), category="elementwise", axes="same")
def rule(
    x: TensorSpec,
    cos: TensorSpec,
    sin: TensorSpec,
    interleaved: bool = False,
    heads_first: bool = True,
    *,
    out: TensorSpec,
) -> Work:
    """3 a turned element: two products and a sum."""
    return Work(0, 6 * product(x.shape[:-1]) * cos.shape[-1])
