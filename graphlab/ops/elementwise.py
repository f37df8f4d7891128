"""Elementwise arithmetic, comparison, logic and selection, broadcast to the output.

One FLOP an output element for each elementary operation, whatever the dtype: add, multiply, divide, power,
compare, select, round, any named function of one number. Complex numbers count 2 for an addition, 6 for a
product (2 by a real one), 11 for a quotient and 2 for anything else.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, is_complex

_UNARY = (
    "abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 "
    "expm1 floor frac lgamma log log10 log1p log2 logical_not neg rad2deg reciprocal round rsqrt sgn sign "
    "sin sinc sinh sqrt square tan trunc"
)
_INPLACE = " ".join(f"{name}_" for name in _UNARY.split() if name not in ("angle",))
_COMPARISONS = "eq ne lt le gt ge"
_LOGICAL = "logical_and logical_or logical_xor"
_BITWISE = "bitwise_and bitwise_or bitwise_xor"


def _parts(out: TensorSpec) -> int:
    """Real numbers in one element."""
    return 2 if is_complex(out) else 1


@op(*aten(_UNARY), *aten(_INPLACE), category="elementwise", axes="same")
@op(*aten("isnan isinf isfinite isneginf isposinf signbit"), category="elementwise", axes="same")
@op(*aten("special_erf absolute negative conj_physical"), category="elementwise", axes="same")
def unary(self: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an element; 2 a complex one."""
    return Work(0, _parts(self) * out.numel)


@op("aten.round.decimals", category="elementwise", axes="same")
def round_decimals(self: TensorSpec, *, decimals: int, out: TensorSpec) -> Work:
    """3 an element: multiply, round, divide."""
    return Work(0, 3 * out.numel)


@op(*aten("add add_ sub sub_ rsub subtract", "Tensor"), category="elementwise", axes="broadcast")
def add(self: TensorSpec, other: Any, *, alpha: Any = 1, out: TensorSpec) -> Work:
    """1 an element (2 a complex one); alpha 1 more when it is not 1."""
    return Work(0, (1 + (alpha != 1)) * _parts(out) * out.numel)


@op(*aten("add add_ sub sub_ rsub subtract", "Scalar"), category="elementwise", axes="same")
def add_scalar(self: TensorSpec, other: Any, alpha: Any = 1, *, out: TensorSpec) -> Work:
    """1 an element (2 a complex one)."""
    return Work(0, _parts(out) * out.numel)


@op(*aten("mul mul_ multiply", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
def mul(self: TensorSpec, other: Any, *, out: TensorSpec) -> Work:
    """1 an element; of complex numbers 6, of a complex and a real one 2."""
    if is_complex(self) and is_complex(other):
        return Work(0, 6 * out.numel)
    return Work(0, _parts(out) * out.numel)


@op(*aten("div div_ divide true_divide", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
def div(self: TensorSpec, other: Any, *, out: TensorSpec) -> Work:
    """1 an element; by a complex number 11, of a complex by a real one 2."""
    if is_complex(other):
        return Work(0, 11 * out.numel)
    return Work(0, _parts(out) * out.numel)


@op(*aten("div div_ divide", "Tensor_mode", "Scalar_mode"), category="elementwise", axes="broadcast")
def div_mode(self: TensorSpec, other: Any, *, rounding_mode: str | None, out: TensorSpec) -> Work:
    """1 an element; 2 when it rounds."""
    return Work(0, (1 + (rounding_mode is not None)) * out.numel)


@op(*aten("floor_divide"), *aten("floor_divide", "Scalar"), category="elementwise", axes="broadcast")
def floor_divide(self: TensorSpec, other: Any, *, out: TensorSpec) -> Work:
    """2 an element: divide, round."""
    return Work(0, 2 * out.numel)


@op(*aten("remainder fmod remainder_ fmod_", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
@op(
    *aten("remainder", "Scalar_Tensor"), *aten("copysign", "Tensor", "Scalar"), category="elementwise", axes="broadcast"
)
@op(*aten("maximum minimum fmax fmin atan2 hypot"), category="elementwise", axes="broadcast")
@op(*aten("max min", "other"), category="elementwise", axes="broadcast")
@op(*aten(_COMPARISONS, "Tensor", "Scalar"), category="elementwise", axes="broadcast")
@op(*aten("eq_ ne_ lt_ le_ gt_ ge_", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
@op(
    *aten("greater less greater_equal less_equal not_equal", "Tensor", "Scalar"),
    category="elementwise",
    axes="broadcast",
)
@op(*aten(_LOGICAL), *aten("logical_and_ logical_or_ logical_xor_"), category="elementwise", axes="broadcast")
@op(*aten(_BITWISE, "Tensor", "Scalar", "Scalar_Tensor"), category="elementwise", axes="broadcast")
@op(*aten("bitwise_and_ bitwise_or_ bitwise_xor_", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
@op(*aten("__and__ __or__ __xor__ __lshift__ __rshift__", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
@op(
    *aten("bitwise_left_shift bitwise_right_shift", "Tensor", "Tensor_Scalar", "Scalar_Tensor"),
    category="elementwise",
    axes="broadcast",
)
def binary(self: Any, other: Any, *, out: TensorSpec) -> Work:
    """1 an element."""
    return Work(0, out.numel)


@op(*aten("pow float_power", "Tensor_Tensor", "Tensor_Scalar", "Scalar"), category="elementwise", axes="broadcast")
@op(*aten("pow_", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
def power(self: Any, exponent: Any, *, out: TensorSpec) -> Work:
    """1 an element, whatever the exponent."""
    return Work(0, _parts(out) * out.numel)


@op(*aten("clamp clamp_ clip clip_"), *aten("clamp clamp_ clip", "Tensor"), category="elementwise", axes="broadcast")
def clamp(self: TensorSpec, min: Any = None, max: Any = None, *, out: TensorSpec) -> Work:
    """1 an element for each bound given."""
    return Work(0, ((min is not None) + (max is not None)) * out.numel)


@op(*aten("clamp_min clamp_min_"), *aten("clamp_min", "Tensor"), category="elementwise", axes="broadcast")
def clamp_min(self: TensorSpec, min: Any, *, out: TensorSpec) -> Work:
    """1 an element."""
    return Work(0, out.numel)


@op(*aten("clamp_max clamp_max_"), *aten("clamp_max", "Tensor"), category="elementwise", axes="broadcast")
def clamp_max(self: TensorSpec, max: Any, *, out: TensorSpec) -> Work:
    """1 an element."""
    return Work(0, out.numel)


@op(*aten("where", "self", "ScalarOther", "ScalarSelf", "Scalar"), category="elementwise", axes="broadcast")
def where(condition: TensorSpec, self: Any, other: Any, *, out: TensorSpec) -> Work:
    """1 an element: a select."""
    return Work(0, out.numel)


@op(*aten("masked_fill masked_fill_", "Scalar", "Tensor"), category="elementwise", axes="broadcast")
def masked_fill(self: TensorSpec, mask: TensorSpec, value: Any, *, out: TensorSpec) -> Work:
    """1 an element: a select."""
    return Work(0, out.numel)


@op(*aten("lerp lerp_", "Tensor", "Scalar"), category="elementwise", axes="broadcast")
def lerp(self: TensorSpec, end: TensorSpec, weight: Any, *, out: TensorSpec) -> Work:
    """3 an element: self + weight * (end - self)."""
    return Work(0, 3 * out.numel)


@op(*aten("addcmul addcmul_ addcdiv addcdiv_"), category="elementwise", axes="broadcast")
def addcmul(self: TensorSpec, tensor1: TensorSpec, tensor2: TensorSpec, *, value: Any = 1, out: TensorSpec) -> Work:
    """2 an element, 3 when value is not 1: self + value * tensor1 * tensor2."""
    return Work(0, (2 + (value != 1)) * out.numel)


@op(*aten("nan_to_num nan_to_num_"), category="elementwise", axes="same")
def nan_to_num(self: TensorSpec, nan: Any = None, posinf: Any = None, neginf: Any = None, *, out: TensorSpec) -> Work:
    """3 an element: a select for each replaced value."""
    return Work(0, 3 * out.numel)


@op("aten.logit.default", category="elementwise", axes="same")
def logit(self: TensorSpec, eps: Any = None, *, out: TensorSpec) -> Work:
    """3 an element: log(x / (1 - x)); 5 with eps, which clamps both ends."""
    return Work(0, (3 if eps is None else 5) * out.numel)


@op("aten.logaddexp.default", category="elementwise", axes="broadcast")
def logaddexp(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: log(exp(a) + exp(b))."""
    return Work(0, 4 * out.numel)


@op("aten.polar.default", category="elementwise", axes="broadcast")
def polar(abs: TensorSpec, angle: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: cos, sin, two products."""
    return Work(0, 4 * out.numel)


@op("aten.complex.default", category="movement", axes="broadcast")
def complex_(real: TensorSpec, imag: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is computed: two reals are stored side by side."""
    return Work()


@op("aten.diff.default", category="elementwise", axes="same")
def diff(
    self: TensorSpec,
    n: int = 1,
    dim: int = -1,
    prepend: TensorSpec | None = None,
    append: TensorSpec | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """1 an output element for n = 1; n passes of one subtraction each otherwise, at the output's size."""
    return Work(0, n * out.numel)
