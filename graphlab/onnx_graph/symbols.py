"""The sizes of one trace: torch symbols for the axes of inputs, their names, and the conditions they came under.

An ONNX model names its free sizes ("batch", "height"). Each becomes one symbol, called after the first input axis
that shows it ("sample.d2"), as in a capture; torch's shape environment does the arithmetic and keeps the guards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sympy
import torch
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv
from torch.utils._sympy.printers import PythonPrinter

from graphlab.errors import SourceError
from graphlab.graph import TensorSpec
from graphlab.onnx_graph.dtypes import dtype_name


class Symbols:
    """Symbols of one trace. `mode` makes the fake tensors whose sizes they are."""

    def __init__(self) -> None:
        self.env = ShapeEnv()
        self.mode = FakeTensorMode(shape_env=self.env)
        self.sizes: dict[str, Any] = {}
        self._own: dict[str, sympy.Symbol] = {}
        self._names: dict[sympy.Symbol, sympy.Symbol] = {}
        self._texts: dict[sympy.Expr, str | int] = {}

    def add(self, axis: str, hint: int) -> Any:
        """A new symbol called `axis`, of the example size `hint` (2 or more)."""
        source = ConstantSource(axis)
        symbol = self.env.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC, constraint_dim=None)
        size = self.env.create_symintnode(symbol, hint=hint, source=source)
        if isinstance(symbol, sympy.Symbol):
            self._own[axis] = symbol
            self._names[symbol] = sympy.Symbol(axis, integer=True, positive=True)
        self.sizes[axis] = size
        return size

    def text(self, size: Any) -> int | str:
        """`size` as an int or as text over the named symbols; SourceError for one that depends on data."""
        if not isinstance(size, torch.SymInt):
            return int(size)
        expr = self.env.replace(size.node.expr)
        if expr not in self._texts:
            if not all(symbol in self._names for symbol in expr.free_symbols):
                raise SourceError(
                    "the size of a tensor depends on the data", hint="only sizes that follow from the inputs' are known"
                )
            named = expr.xreplace(self._names)
            self._texts[expr] = int(named) if named.is_Integer else str(named)
        return self._texts[expr]

    def number(self, value: Any) -> Any:
        """A SymFloat or SymBool as text over the named symbols."""
        return str(self.env.replace(value.node.expr).xreplace(self._names))

    def spec(self, tensor: torch.Tensor) -> TensorSpec:
        """Shape and strides of a fake tensor, as text where they are symbolic."""
        shape, stride = tensor.shape, tensor.stride()
        return TensorSpec(tuple(map(self.text, shape)), tuple(map(self.text, stride)), dtype_name(tensor.dtype))

    def free(self) -> dict[str, int]:
        """{symbol: example size} of the symbols that no operator pinned to a number or to another symbol."""
        kept = {}
        for axis, symbol in self._own.items():
            if self.env.replace(symbol) == symbol:
                kept[axis] = int(self.env.backed_var_to_val[symbol])
        return kept

    def pinned(self) -> dict[str, int]:
        """{symbol: size} of the symbols that an operator takes at one size alone."""
        values = {axis: self.env.replace(symbol) for axis, symbol in self._own.items()}
        return {axis: int(value) for axis, value in values.items() if value.is_Integer}

    def guards(self) -> tuple[str, ...]:
        """The conditions of the trace, as text over the free symbols, in the order they came."""
        texts: dict[str, None] = {}
        for guard in self.env.guards:
            expr = self.env.simplify(guard.expr)
            if expr is not sympy.true and expr.free_symbols:
                texts[_printed(expr.xreplace(self._names))] = None
        return tuple(texts)

    def ranges(self) -> Mapping[str, tuple[int, int | None]]:
        """{free symbol: (least, greatest or None)}."""
        return {axis: self._range(self._own[axis]) for axis in self.free()}

    def _range(self, symbol: sympy.Symbol) -> tuple[int, int | None]:
        bounds = self.env.bound_sympy(symbol)
        upper = bounds.upper
        finite = isinstance(upper, (int, sympy.Integer)) and int(upper) < 2**62
        return int(bounds.lower), int(upper) if finite else None


@contextmanager
def quiet() -> Iterator[None]:
    """torch logs every operator whose inputs do not fit, with a traceback; the error says it in a line."""
    logger = logging.getLogger("torch")
    level = logger.level
    children = [logging.getLogger(name) for name in ("torch._subclasses.fake_tensor", "torch.fx")]
    levels = [child.level for child in children]
    for each in (logger, *children):
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, before in zip((logger, *children), (level, *levels), strict=True):
            each.setLevel(before)


def _printed(expr: sympy.Basic) -> str:
    return str(PythonPrinter().doprint(expr))
