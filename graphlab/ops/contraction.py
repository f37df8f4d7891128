"""Matrix products: linear, matmul, bmm, addmm, dot. FLOPs are the field's: 2 per multiply-add.

torch's FlopCounterMode has no formula for `mv`, `dot`, `addmv` and `_int_mm` and counts them 0; here they
count like the matrix products they are.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, product


def _affine(elements: Dim, beta: Any, alpha: Any) -> Dim:
    """Pointwise FLOP of beta * input + alpha * product on `elements`: each multiply by 1, and input * 0, is free."""
    scaled = elements if alpha != 1 else 0
    if beta == 0:
        return scaled
    return scaled + elements + (elements if beta != 1 else 0)


def _affine_read(self: TensorSpec, left: TensorSpec, right: TensorSpec, beta: Any) -> Dim:
    """With beta = 0 ATen ignores `self`, which may be uninitialised memory (diffusers' baddbmm): not read."""
    used = left.distinct_bytes + right.distinct_bytes
    return used if beta == 0 else used + self.distinct_bytes


def _addmm_read(
    self: TensorSpec, mat1: TensorSpec, mat2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Dim:
    return _affine_read(self, mat1, mat2, beta)


def _baddbmm_read(
    self: TensorSpec, batch1: TensorSpec, batch2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Dim:
    return _affine_read(self, batch1, batch2, beta)


def _addmv_read(
    self: TensorSpec, mat: TensorSpec, vec: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Dim:
    return _affine_read(self, mat, vec, beta)


@op("aten.linear.default", category="linear", axes="*b i, o i -> *b o")
def linear(input: TensorSpec, weight: TensorSpec, bias: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """2 * rows * in * out; the bias adds one pointwise FLOP an output element."""
    return Work(2 * out.numel * weight.shape[-1], out.numel if bias is not None else 0)


@op("aten.mm.default", "aten._int_mm.default", category="matmul", axes="m k, k n -> m n")
def mm(self: TensorSpec, mat2: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * m * k * n."""
    return Work(2 * out.numel * self.shape[1])


@op("aten.bmm.default", category="matmul", axes="b m k, b k n -> b m n")
def bmm(self: TensorSpec, mat2: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * b * m * k * n."""
    return Work(2 * out.numel * self.shape[2])


@op("aten.mm.dtype", category="matmul", axes="m k, k n -> m n")
@op("aten.bmm.dtype", category="matmul", axes="b m k, b k n -> b m n")
def mm_dtype(self: TensorSpec, mat2: TensorSpec, out_dtype: Any, *, out: TensorSpec) -> Work:
    """2 * m * k * n, times the batch."""
    return Work(2 * out.numel * self.shape[-1])


@op(*aten("addmm addmm_"), category="matmul", axes="*, m k, k n -> m n", bytes_read=_addmm_read)
def addmm(
    self: TensorSpec, mat1: TensorSpec, mat2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Work:
    """2 * m * k * n; pointwise: one an output element to add `self`, one more for each of alpha, beta not 0 or 1."""
    return Work(2 * out.numel * mat1.shape[1], _affine(out.numel, beta, alpha))


@op(*aten("baddbmm baddbmm_"), category="matmul", axes="*, b m k, b k n -> b m n", bytes_read=_baddbmm_read)
def baddbmm(
    self: TensorSpec, batch1: TensorSpec, batch2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Work:
    """2 * b * m * k * n; pointwise as addmm."""
    return Work(2 * out.numel * batch1.shape[2], _affine(out.numel, beta, alpha))


@op("aten.addbmm.default", category="matmul", axes="*, b m k, b k n -> m n", bytes_read=_baddbmm_read)
def addbmm(
    self: TensorSpec, batch1: TensorSpec, batch2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Work:
    """2 * b * m * k * n, the sum over b being part of the contraction; pointwise as addmm."""
    return Work(2 * batch1.numel * batch2.shape[2], _affine(out.numel, beta, alpha))


@op(*aten("matmul linalg_matmul"), category="matmul", axes="matmul")
def matmul(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * output elements * k, whatever broadcasts; torch's counter says 0 where it becomes `mv` or `dot`."""
    return Work(2 * out.numel * self.shape[-1])


@op("aten.inner.default", category="matmul", axes="*b k, n k -> *b n")
def inner(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * output elements * k."""
    return Work(2 * out.numel * self.shape[-1])


@op("aten.mv.default", category="matmul", axes="m k, k -> m")
def mv(self: TensorSpec, vec: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * m * k (torch's counter: 0)."""
    return Work(2 * self.numel)


@op("aten.addmv.default", category="matmul", axes="*, m k, k -> m", bytes_read=_addmv_read)
def addmv(
    self: TensorSpec, mat: TensorSpec, vec: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Work:
    """2 * m * k (torch's counter: 0); pointwise as addmm."""
    return Work(2 * mat.numel, _affine(out.numel, beta, alpha))


@op("aten.dot.default", category="matmul", axes="k, k ->")
def dot(self: TensorSpec, tensor: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * k (torch's counter: 0)."""
    return Work(2 * self.numel)


@op("aten.vdot.default", category="matmul", axes="k, k ->")
def vdot(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * k (torch's counter: 0)."""
    return Work(2 * self.numel)


@op(*aten("outer ger"), category="elementwise", axes="m, n -> m n")
def outer(self: TensorSpec, vec2: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is contracted: one pointwise FLOP an output element."""
    return Work(0, out.numel)


@op("aten.addr.default", category="elementwise", axes="*, m, n -> m n")
def addr(
    self: TensorSpec, vec1: TensorSpec, vec2: TensorSpec, *, beta: Any = 1, alpha: Any = 1, out: TensorSpec
) -> Work:
    """Nothing is contracted: the outer product, and what addmm adds."""
    return Work(0, out.numel + _affine(out.numel, beta, alpha))


@op("aten.tensordot.default", category="matmul", axes="unknown")
def tensordot(self: TensorSpec, other: TensorSpec, dims_self: Any, dims_other: Any, *, out: TensorSpec) -> Work:
    """2 * output elements * contracted elements."""
    return Work(2 * out.numel * product(self.shape[dim] for dim in dims_self))


@op("aten._scaled_mm.default", category="matmul", axes="m k, k n -> m n")
def scaled_mm(
    self: TensorSpec,
    mat2: TensorSpec,
    scale_a: TensorSpec,
    scale_b: TensorSpec,
    bias: TensorSpec | None = None,
    scale_result: TensorSpec | None = None,
    out_dtype: Any = None,
    use_fast_accum: bool = False,
    *,
    out: TensorSpec,
) -> Work:
    """2 * m * k * n; pointwise, an output element: 2 for the scales, 1 for the bias, 1 for the result's scale."""
    extras = 2 + (bias is not None) + (scale_result is not None)
    return Work(2 * out.numel * self.shape[1], extras * out.numel)


@op("aten._weight_int8pack_mm.default", category="linear", axes="m k, n k -> m n")
def weight_int8pack_mm(self: TensorSpec, mat2: TensorSpec, scales: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * m * k * n (torch's counter: 0); one pointwise FLOP an output element for the scale."""
    return Work(2 * out.numel * self.shape[1], out.numel)


@op("aten._grouped_mm.default", category="matmul", axes="unknown")
def grouped_mm(
    self: TensorSpec,
    mat2: TensorSpec,
    offs: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    out_dtype: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """Every row meets one group: 2 * output elements * k; two matrices split along k: 2 * m * k * n over all groups."""
    both_ragged = len(self.shape) == 2 and len(mat2.shape) == 2
    flops = 2 * self.numel * mat2.shape[-1] if both_ragged else 2 * out.numel * self.shape[-1]
    return Work(flops, out.numel if bias is not None else 0)


@op("transformers.grouped_mm_fallback.default", category="matmul", axes="s k, e k n -> s n")
def grouped_mm_fallback(input: TensorSpec, weight: TensorSpec, offs: TensorSpec, *, out: TensorSpec) -> Work:
    """2 * rows * k * n: every row meets one expert (transformers' mixture of experts; torch's counter: 0). Bytes
    read are those of every expert."""
    return Work(2 * out.numel * input.shape[1])
