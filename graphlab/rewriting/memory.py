"""Strides and memory of values: what a rewrite may change about them without changing a result or breaking a reader."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._sympy.functions import FloorDiv, Max

from graphlab.rewriting import fake
from graphlab.rewriting.functional import is_view, writes

Node: TypeAlias = torch.fx.Node

_MOST_READERS = 64
"""Readers whose strides are followed after one change; keeps a pass linear in the graph."""
_AS_THEY_LIE = frozenset(
    {torch.ops.aten.as_strided.default, torch.ops.aten._reshape_alias.default, torch.ops.aten.view.dtype}
)
"""Operators that read memory and not values: they take any strides and give other numbers."""
_BY_DEVICE = frozenset({torch.ops.aten.pixel_shuffle.default, torch.ops.aten.pixel_unshuffle.default})
"""Operators whose fake result lies in row-major order while some devices keep the order of the input."""
_VIEWS = frozenset({torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default})


def always_equal(a: Any, b: Any) -> bool:
    """Whether two sizes (int or SymInt) are equal at every binding, odd ones too: 2 (n // 2) is not n."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    left, right = _formula(a), _formula(b)
    return bool(left == right) or _difference(left - right) == 0


def same_stride(a: Any, b: Any) -> bool:
    """`always_equal` of strides: torch writes max(1, size) in them, which differs from the size of an empty axis."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    left, right = _formula(a), _formula(b)
    return bool(left == right) or _difference(_not_empty(left) - _not_empty(right)) == 0


def _formula(size: Any) -> sympy.Expr:
    return sympy.Integer(size) if isinstance(size, int) else size.node.expr


@functools.lru_cache(maxsize=4096)
def _not_empty(expr: sympy.Expr) -> sympy.Expr:
    """`expr` with e for max(1, e)."""
    return expr.replace(_is_max_with_one, lambda found: next(arg for arg in found.args if arg != 1))


def _is_max_with_one(expr: sympy.Expr) -> bool:
    return isinstance(expr, (sympy.Max, Max)) and len(expr.args) == 2 and 1 in expr.args


@functools.lru_cache(maxsize=4096)
def _difference(expr: sympy.Expr) -> sympy.Expr:
    """`expr` expanded, with (n + k d) // d as n // d + k: one size is written in both ways."""
    flat = sympy.expand(expr)
    if flat == 0 or not flat.has(FloorDiv):
        return flat
    return sympy.expand(flat.replace(FloorDiv, _floor))


def _floor(base: sympy.Expr, divisor: sympy.Expr) -> sympy.Expr:
    constant, rest = sympy.expand(base).as_coeff_Add()
    if not divisor.is_Integer or not constant.is_Integer:
        return FloorDiv(base, divisor)
    return FloorDiv(rest + constant % divisor, divisor) + constant // divisor


def same_strides(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two fake tensors of one shape lie the same way at every binding; axes of size 1 lie any way."""
    sizes = zip(a.shape, a.stride(), b.stride(), strict=True)
    return all(always_equal(size, 1) or same_stride(x, y) for size, x, y in sizes)


def is_contiguous(value: torch.Tensor) -> bool:
    """Whether the fake tensor is row-major at every binding; False where that depends on the sizes."""
    expected: Any = 1
    for size, stride in zip(reversed(value.shape), reversed(value.stride()), strict=True):
        if always_equal(size, 1):
            continue
        if not same_stride(stride, expected):
            return False
        expected = expected * size
    return True


def order_of(value: torch.Tensor) -> list[int] | None:
    """The axes of the fake tensor from the outermost in memory to the innermost; None where it has gaps or overlaps."""
    hints = [stride if isinstance(stride, int) else int(stride.node.hint) for stride in value.stride()]
    order = sorted(range(value.dim()), key=lambda axis: -hints[axis])
    return order if is_contiguous(value.permute(order)) else None


def place_of(tensor: torch.Tensor) -> Hashable:
    """What two weights have in common that are one memory, laid out alike.

    Without values only one object counts: a loaded `.pt2` keeps all tensors of the meta device in one storage.
    """
    if tensor.is_meta or isinstance(tensor, FakeTensor) or not tensor.numel():
        return id(tensor)
    storage = tensor.untyped_storage().data_ptr()
    return (storage, tensor.device, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def in_results(graph: torch.fx.Graph) -> set[Node]:
    """Values whose memory a result of `graph` may be: the results and what they are views of."""
    found: set[Node] = set()
    pending = list(graph.output_node().all_input_nodes)
    while pending:
        node = pending.pop()
        if node in found:
            continue
        found.add(node)
        if node.op == "call_function" and is_view(node):
            pending.extend(node.all_input_nodes)
    return found


@dataclass(frozen=True, slots=True)
class Relayout:
    """What follows for the readers of a value when it gets other strides: their fake values, and `view` turned
    into `reshape` where memory no longer lies in one piece."""

    values: dict[Node, Any]
    reshaped: tuple[Node, ...]

    def write(self) -> None:
        """Puts it into the graph."""
        for node, value in self.values.items():
            node.meta["val"] = value
        for node in self.reshaped:
            node.target = torch.ops.aten.reshape.default


Known: TypeAlias = "dict[Hashable, Any]"
"""{call of an operator on tensors of given shapes and strides: what it returns}: a model repeats its layers."""


def relayout(mode: Any, moved: Mapping[Node, torch.Tensor], known: Known | None = None) -> Relayout | str:
    """What follows when the readers of the keys of `moved` get fake tensors of the same values and other strides.

    A str is why they may not: a result would lie another way, an operator does not take it, or reads memory as it
    lies. `known` is kept between calls by who makes many.
    """
    known = {} if known is None else known
    values: dict[Node, Any] = dict(moved)
    reshaped: list[Node] = []
    seen = {user for old in moved for user in old.users}
    pending = list(seen)
    while pending:
        node = min(pending)
        pending.remove(node)
        if len(seen) > _MOST_READERS * len(moved):
            return "other strides reach too many readers"
        followed = _follow(mode, node, values, reshaped, known)
        if isinstance(followed, str):
            return followed
        if followed:
            fresh = [user for user in node.users if user not in seen]
            pending += fresh
            seen.update(fresh)
    return Relayout({node: value for node, value in values.items() if node not in moved}, tuple(reshaped))


def _follow(mode: Any, node: Node, values: dict[Node, Any], reshaped: list[Node], known: Known) -> bool | str:
    """Works out the value of `node` over `values`; whether its strides change. A str is why that may not be."""
    found = _evaluated(mode, node, values, known)
    if isinstance(found, str):
        return found
    value, target = found
    if target is not node.target:
        reshaped.append(node)
    if lies_same(value, node.meta.get("val")):
        return False
    values[node] = value
    return True


def relaid(mode: Any, node: Node, known: Known) -> Any:
    """The fake value of `node` over what its arguments are now; a `view` that cannot be one becomes a `reshape`.

    A str is why it does not take its arguments as they lie.
    """
    found = _evaluated(mode, node, {}, known)
    if isinstance(found, str):
        return found
    value, node.target = found
    return value


def _evaluated(mode: Any, node: Node, values: Mapping[Node, Any], known: Known) -> tuple[Any, Any] | str:
    """(value of `node` over `values`, the operator to use: `reshape` for a `view` of scattered memory)."""
    if node.op == "output":
        return "a result would get other strides"
    if node.op != "call_function" or writes(node) or node.target in _AS_THEY_LIE:
        return f"{node.name} reads it as it lies in memory"
    if node.target in _BY_DEVICE:
        return f"how {node.name} lies then depends on the device"
    if not isinstance(node.target, torch._ops.OpOverload) and getattr(node.target, "__name__", "") != "getitem":
        return f"{node.name} takes it into a region"
    args: Any = torch.fx.map_arg((node.args, node.kwargs), lambda n: values.get(n, n.meta["val"]))
    target: Any = node.target
    if target in _VIEWS and not is_contiguous(args[0][0]):
        target = torch.ops.aten.reshape.default
    key = (target, _frozen(args))
    if key not in known:
        try:
            with fake.quietly(mode):
                known[key] = target(*args[0], **args[1])
        except Exception as error:  # an operator's own check, whatever it raises
            return f"{node.name} does not take other strides: {' '.join(str(error).split())[:120]}"
    value = _as_sized(known[key], node.meta.get("val"))
    return value if isinstance(value, str) else (value, target)


def _as_sized(new: Any, old: Any) -> Any:
    """`new` with the sizes of `old`: resampling to a factor turns a size into the number it has in the example.

    A str is why that cannot be.
    """
    if isinstance(new, (tuple, list)):
        parts = [_as_sized(x, y) for x, y in zip(new, old, strict=True)]
        return next((part for part in parts if isinstance(part, str)), tuple(parts))
    if not isinstance(new, torch.Tensor) or all(map(always_equal, new.shape, old.shape)):
        return new
    order = order_of(new)
    if order is None:
        return "how it would lie depends on its sizes"
    made = old.new_empty([old.shape[axis] for axis in order])
    return made.permute([order.index(axis) for axis in range(len(order))])


def _frozen(value: Any) -> Hashable:
    """What decides the fake result of an operator that gets `value`."""
    if isinstance(value, torch.Tensor):
        return (_frozen(tuple(value.shape)), _frozen(value.stride()), value.dtype, value.device)
    if isinstance(value, torch.SymInt):
        return value.node.expr  # type: ignore[no-any-return]  # a sympy expression
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((key, _frozen(item)) for key, item in value.items())
    return (type(value), repr(value))


def lies_same(a: Any, b: Any) -> bool:
    """Whether two fake values, or tuples of them, of the same shapes have the same strides; true for sizes."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dim() == b.dim() and same_strides(a, b)
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(lies_same(x, y) for x, y in zip(a, b, strict=True))
    return True


def same_kind(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two fake tensors agree in shape, dtype and device at every binding."""
    return (
        a.dtype == b.dtype and a.device == b.device and a.dim() == b.dim() and all(map(always_equal, a.shape, b.shape))
    )
