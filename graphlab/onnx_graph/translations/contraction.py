"""MatMul, Gemm, Einsum and the fused products of com.microsoft."""

from __future__ import annotations

from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, onnx
from graphlab.onnx_graph.value import Value


@onnx("MatMul")
def matmul(call: OnnxCall) -> Value:
    """a (*b, m, k), b (*b, k, n), as NumPy's matmul."""
    made: Value = call.run("aten.matmul.default", call.input(0), call.input(1))
    return made


@onnx("Gemm")
def gemm(call: OnnxCall) -> Value:
    """alpha * a @ b + beta * c, a and b transposed where asked."""
    a, b, c = call.input(0), call.input(1), call.optional(2)
    alpha, beta = call.attr("alpha", 1.0), call.attr("beta", 1.0)
    a = transposed(call, a) if call.attr("transA", 0) else a
    plain = alpha == 1 and (c is None or (beta == 1 and c.rank == 1))
    if plain and call.attr("transB", 0):
        linear: Value = call.run("aten.linear.default", a, b, c)
        return linear
    b = transposed(call, b) if call.attr("transB", 0) else b
    if c is None or beta == 0:
        made: Value = call.run("aten.mm.default", a, b)
        return made if alpha == 1 else call.run("aten.mul.Tensor", made, alpha)
    added: Value = call.run("aten.addmm.default", c, a, b, beta=_whole(beta), alpha=_whole(alpha))
    return added


@onnx("Einsum")
def einsum(call: OnnxCall) -> Value:
    """The equation over the operands."""
    equation = str(call.attr("equation", "")).replace(" ", "")
    made: Value = call.run("aten.einsum.default", equation, call.given())
    return made


@onnx("FusedMatMul", domain=MICROSOFT)
def fused_matmul(call: OnnxCall) -> Value:
    """alpha * a @ b with either operand transposed in its last two axes; transBatch moves the leading one behind."""
    a = _batched(call, call.input(0), bool(call.attr("transA", 0)), bool(call.attr("transBatchA", 0)))
    b = _batched(call, call.input(1), bool(call.attr("transB", 0)), bool(call.attr("transBatchB", 0)))
    like = call.tracer.shape_of("aten.matmul.default", a, b)
    return call.same("com.microsoft.FusedMatMul", like, a, b, call.attr("alpha", 1.0))


@onnx("FusedGemm", domain=MICROSOFT)
def fused_gemm(call: OnnxCall) -> Value:
    """Gemm followed by an activation, in one kernel."""
    a, b, c = call.input(0), call.input(1), call.optional(2)
    a = transposed(call, a) if call.attr("transA", 0) else a
    b = transposed(call, b) if call.attr("transB", 0) else b
    like = call.tracer.shape_of("aten.mm.default", a, b)
    return call.same("com.microsoft.FusedGemm", like, a, b, c, call.attr("activation", ""))


@onnx("GemmFastGelu", domain=MICROSOFT)
def gemm_fast_gelu(call: OnnxCall) -> Value:
    """x @ w + bias through the tanh form of gelu, in one kernel."""
    x, w = call.input(0), call.input(1)
    like = call.tracer.shape_of("aten.matmul.default", x, w)
    return call.same("com.microsoft.FusedGemm", like, x, w, call.optional(2), "FastGelu")


def transposed(call: OnnxCall, value: Value) -> Value:
    """`value` with its last two axes exchanged, a view."""
    made: Value = call.run("aten.transpose.int", value, -2, -1)
    return made


def _batched(call: OnnxCall, value: Value, trans: bool, batch: bool) -> Value:
    if value.rank < 2:
        return value
    if batch:
        order = [*range(1, value.rank - 1), 0, value.rank - 1]
        value = call.run("aten.permute.default", value, order)
    return transposed(call, value) if trans else value


def _whole(factor: float) -> float | int:
    """1 for 1.0: torch writes whole factors as integers."""
    return int(factor) if factor == int(factor) else factor
