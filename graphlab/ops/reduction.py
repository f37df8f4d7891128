"""Sums, means, extrema, variances, scans and sorts. Reducing n elements to one counts n, not n - 1."""

from __future__ import annotations

from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, first


@op(*aten("sum prod"), category="reduction", axes="reduce")
def sum_(self: TensorSpec, *, dtype: Any = None, out: TensorSpec) -> Work:
    """1 an input element."""
    return Work(0, self.numel)


@op("aten.sum.dim_IntList", category="reduction", axes="reduce")
@op("aten.prod.dim_int", category="reduction", axes="reduce")
def sum_dim(self: TensorSpec, dim: Any, keepdim: bool = False, *, dtype: Any = None, out: TensorSpec) -> Work:
    """1 an input element."""
    return Work(0, self.numel)


@op("aten.nansum.default", category="reduction", axes="reduce")
def nansum(self: TensorSpec, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: TensorSpec) -> Work:
    """2 an input element: select, add."""
    return Work(0, 2 * self.numel)


@op("aten.mean.default", category="reduction", axes="reduce")
def mean(self: TensorSpec, *, dtype: Any = None, out: TensorSpec) -> Work:
    """1 an input element, 1 an output element (the division)."""
    return Work(0, self.numel + out.numel)


@op("aten.mean.dim", category="reduction", axes="reduce")
def mean_dim(self: TensorSpec, dim: Any, keepdim: bool = False, *, dtype: Any = None, out: TensorSpec) -> Work:
    """1 an input element, 1 an output element (the division)."""
    return Work(0, self.numel + out.numel)


@op(*aten("amax amin"), category="reduction", axes="reduce")
def amax(self: TensorSpec, dim: Any = (), keepdim: bool = False, *, out: TensorSpec) -> Work:
    """1 an input element."""
    return Work(0, self.numel)


@op(*aten("max min any all"), category="reduction", axes="reduce")
def extremum(self: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an input element."""
    return Work(0, self.numel)


@op(*aten("max min any all", "dim"), *aten("median", "dim"), category="reduction", axes="reduce")
def extremum_dim(self: TensorSpec, dim: int, keepdim: bool = False, *, out: Any) -> Work:
    """1 an input element; finding where it stands costs nothing more."""
    return Work(0, self.numel)


@op(*aten("any all", "dims"), *aten("argmax argmin"), category="reduction", axes="reduce")
def any_dims(self: TensorSpec, dim: Any = None, keepdim: bool = False, *, out: TensorSpec) -> Work:
    """1 an input element."""
    return Work(0, self.numel)


@op("aten.aminmax.default", category="reduction", axes="reduce")
def aminmax(self: TensorSpec, *, dim: Any = None, keepdim: bool = False, out: Any) -> Work:
    """2 an input element."""
    return Work(0, 2 * self.numel)


def _variance(self: TensorSpec, out: Any, root: bool) -> Work:
    return Work(0, 4 * self.numel + (3 if root else 2) * first(out).numel)


@op(*aten("var var_mean"), category="reduction", axes="reduce")
def var(self: TensorSpec, unbiased: bool = True, *, out: Any) -> Work:
    """4 an input element (sum, subtract, square, sum), 2 an output element (two divisions)."""
    return _variance(self, out, False)


@op(*aten("var var_mean", "dim"), category="reduction", axes="reduce")
def var_dim(self: TensorSpec, dim: Any, unbiased: bool = True, keepdim: bool = False, *, out: Any) -> Work:
    """4 an input element (sum, subtract, square, sum), 2 an output element (two divisions)."""
    return _variance(self, out, False)


@op(*aten("var var_mean", "correction"), category="reduction", axes="reduce")
def var_correction(
    self: TensorSpec, dim: Any = None, *, correction: Any = None, keepdim: bool = False, out: Any
) -> Work:
    """4 an input element (sum, subtract, square, sum), 2 an output element (two divisions)."""
    return _variance(self, out, False)


@op(*aten("std std_mean"), category="reduction", axes="reduce")
def std(self: TensorSpec, unbiased: bool = True, *, out: Any) -> Work:
    """As var, 1 more an output element for the root."""
    return _variance(self, out, True)


@op(*aten("std std_mean", "dim"), category="reduction", axes="reduce")
def std_dim(self: TensorSpec, dim: Any, unbiased: bool = True, keepdim: bool = False, *, out: Any) -> Work:
    """As var, 1 more an output element for the root."""
    return _variance(self, out, True)


@op(*aten("std std_mean", "correction"), category="reduction", axes="reduce")
def std_correction(
    self: TensorSpec, dim: Any = None, *, correction: Any = None, keepdim: bool = False, out: Any
) -> Work:
    """As var, 1 more an output element for the root."""
    return _variance(self, out, True)


@op("aten.logsumexp.default", category="reduction", axes="reduce")
def logsumexp(self: TensorSpec, dim: Any, keepdim: bool = False, *, out: TensorSpec) -> Work:
    """4 an input element (max, subtract, exp, sum), 2 an output element (log, add)."""
    return Work(0, 4 * self.numel + 2 * out.numel)


@op(*aten("cumsum cumprod cumsum_"), category="reduction", axes="same")
def cumsum(self: TensorSpec, dim: int, *, dtype: Any = None, out: TensorSpec) -> Work:
    """1 an element."""
    return Work(0, self.numel)


@op(*aten("cummax cummin"), category="reduction", axes="same")
def cummax(self: TensorSpec, dim: int, *, out: Any) -> Work:
    """1 an element."""
    return Work(0, self.numel)


@op("aten.count_nonzero.default", category="reduction", axes="reduce")
def count_nonzero(self: TensorSpec, dim: Any = None, *, out: TensorSpec) -> Work:
    """2 an input element: compare, add."""
    return Work(0, 2 * self.numel)


@op("aten.topk.default", category="reduction", axes="same")
def topk(self: TensorSpec, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any) -> Work:
    """1 an input element: the comparisons of one pass; what an algorithm adds is not modelled."""
    return Work(0, self.numel)


@op("aten.sort.default", category="reduction", axes="same")
def sort(self: TensorSpec, dim: int = -1, descending: bool = False, *, out: Any) -> Work:
    """1 an element: the comparisons of one pass; what an algorithm adds is not modelled."""
    return Work(0, self.numel)


@op("aten.argsort.default", category="reduction", axes="same")
def argsort(self: TensorSpec, dim: int = -1, descending: bool = False, *, out: TensorSpec) -> Work:
    """As sort."""
    return Work(0, self.numel)


@op("aten.sort.stable", category="reduction", axes="same")
@op("aten.argsort.stable", category="reduction", axes="same")
def sort_stable(self: TensorSpec, *, stable: Any, dim: int = -1, descending: bool = False, out: Any) -> Work:
    """As sort."""
    return Work(0, self.numel)


@op("aten.histc.default", category="reduction", axes="unknown")
def histc(self: TensorSpec, bins: int = 100, min: Any = 0, max: Any = 0, *, out: TensorSpec) -> Work:
    """4 an input element: subtract, scale, round, count."""
    return Work(0, 4 * self.numel)
