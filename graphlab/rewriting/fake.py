"""What an operator would return: shapes, strides and dtypes on fake tensors, without adding a guard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sympy
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _pytree
from torch.utils._sympy.functions import FloorDiv

from graphlab.errors import GraphlabError


def mode_of(graph: torch.fx.Graph) -> FakeTensorMode:
    """The mode the values of `graph` were made in; a new one when it holds no fake tensor."""
    for node in graph.nodes:
        for value in _pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, FakeTensor):
                return value.fake_mode
    return FakeTensorMode(allow_non_fake_inputs=True)


@contextmanager
def quietly(mode: FakeTensorMode) -> Iterator[None]:
    """Inside, operators run on fake tensors and comparisons of sizes are answered from the example, unrecorded.

    A rewrite computes what the program computed, so every condition its operators could ask for is already a guard.
    """
    shapes = mode.shape_env
    with mode, torch.no_grad():
        if shapes is None:
            yield
            return
        with shapes.suppress_guards():
            yield


def value_of(arg: Any) -> Any:
    """`arg` with every node replaced by its fake value."""
    return torch.fx.map_arg(arg, lambda node: node.meta["val"])


def evaluate(mode: FakeTensorMode, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `target` returns for the fake values of `args`; GraphlabError when it does not take them."""
    try:
        with quietly(mode):
            return target(*value_of(args), **value_of(kwargs))
    except Exception as error:  # an operator's own check, whatever it raises
        reason = " ".join(str(error).split())[:200]
        raise GraphlabError(f"{target} does not take these arguments: {reason}") from error


def same_size(a: Any, b: Any) -> bool:
    """Whether two sizes (int or SymInt) are equal at every binding."""
    return equal(*(size if isinstance(size, int) else size.node.expr for size in (a, b)))


def equal(a: Any, b: Any) -> bool:
    """Whether two sizes (int or sympy) of one value, or of values that are combined, are equal at every binding.

    Divisions count as exact: where one is not, the view or the sum that needs the sizes to agree would fail.
    """
    if a is b or (isinstance(a, int) and isinstance(b, int)):
        return bool(a == b)
    return bool(a == b) or bool(sympy.cancel(exact(a) - exact(b)) == 0)


def exact(size: Any) -> Any:
    """`size` with whole-number divisions as fractions."""
    if isinstance(size, int) or not size.has(FloorDiv):
        return size
    return size.replace(FloorDiv, lambda a, b: a / b)


def same_shape(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two fake tensors have the same rank and sizes at every binding."""
    return a.dim() == b.dim() and all(same_size(x, y) for x, y in zip(a.shape, b.shape, strict=True))


def agree(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two ways to compute one value may have the sizes of `a` and `b`.

    Two moving sizes that are equal in the example count: one size is written with several symbols where an operator
    that needs them equal was a guard of the export.
    """
    return a.dim() == b.dim() and all(_may_be(x, y) for x, y in zip(a.shape, b.shape, strict=True))


def _may_be(a: Any, b: Any) -> bool:
    if same_size(a, b):
        return True
    if isinstance(a, int) or isinstance(b, int):
        return False
    return a.node.hint is not None and a.node.hint == b.node.hint


def numel(sizes: Any) -> Any:
    """The product of `sizes`, as an int or a sympy expression."""
    total: Any = 1
    for size in sizes:
        total = total * (size if isinstance(size, int) else size.node.expr)
    return total if isinstance(total, int) else sympy.expand(total)


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """A weight as a plain tensor; those of a program exported from fake tensors have no values: meta."""
    if isinstance(tensor, FakeTensor):
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return tensor.detach()
