"""Products of two tensors as letters: which dimensions are shared, summed over, or belong to one side."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.rewriting.attention.axes import Unmatched, equal, shape_of

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Product:
    """`out = alpha * sum(left * right) + beta * addend`.

    `left_dims`, `right_dims` and `out_dims` name the dimensions by letters; a dimension of size 1 that is stretched or
    stays 1 has "". A letter in both operands and not in `out_dims` is summed over.
    """

    node: torch.fx.Node
    left: torch.fx.Node
    right: torch.fx.Node
    left_dims: tuple[str, ...]
    right_dims: tuple[str, ...]
    out_dims: tuple[str, ...]
    alpha: Any = 1
    addend: torch.fx.Node | None = None
    beta: Any = 1

    def size(self, letter: str) -> Any:
        """The size of `letter`, an int or a sympy expression."""
        for node, dims in ((self.left, self.left_dims), (self.right, self.right_dims)):
            if letter in dims:
                return shape_of(node)[dims.index(letter)]
        raise KeyError(letter)


def product_of(node: torch.fx.Node, weights: frozenset[torch.fx.Node] = frozenset()) -> Product | None:
    """The product that `node` computes; None when it is none, or a linear layer with one of `weights`.

    Unmatched for a product in no readable form.
    """
    if node.op != "call_function":
        return None
    if node.target is aten.matmul.default:
        return _matmul(node, *node.args)
    if node.target in (aten.bmm.default, aten.mm.default):
        return _matmul(node, *node.args)
    if node.target in (aten.baddbmm.default, aten.addmm.default):
        addend, left, right = node.args
        beta, alpha = node.kwargs.get("beta", 1), node.kwargs.get("alpha", 1)
        return _matmul(node, left, right, alpha, addend if beta != 0 else None, beta)
    if node.target is aten.einsum.default:
        return _einsum(node)
    if node.target is aten.linear.default:
        return None if node.args[1] in weights else _linear(node)
    return _tensordot(node) if node.target is aten.tensordot.default else None


def _linear(node: torch.fx.Node) -> Product | None:
    """`linear` with a computed second operand: a product in the order of its output features."""
    left, right, *bias = _args(node)
    if any(item is not None for item in bias) or right.meta["val"].dim() != 2:
        return None
    names = _names(left.meta["val"].dim() + 1)
    *lead, inner, column = names
    return Product(node, left, right, (*lead, inner), (column, inner), (*lead, column))


def _tensordot(node: torch.fx.Node) -> Product:
    left, right, summed_left, summed_right = _args(node)
    a, b = left.meta["val"].dim(), right.meta["val"].dim()
    pairs = [(shape_of(left)[i], shape_of(right)[j]) for i, j in zip(summed_left, summed_right, strict=True)]
    if any(equal(one, 1) != equal(other, 1) for one, other in pairs):
        raise Unmatched(f"{node.name} sums over an axis of one operand alone")
    left_dims, right_dims = list(_names(a)), list(_names(a + b)[a:])
    for first, second in zip(summed_left, summed_right, strict=True):
        right_dims[second % b] = left_dims[first % a]
    out = [x for x in left_dims if x not in right_dims] + [x for x in right_dims if x not in left_dims]
    return Product(node, left, right, tuple(left_dims), tuple(right_dims), tuple(out))


def _names(count: int) -> tuple[str, ...]:
    return tuple(string.ascii_letters[:count])


def _args(node: torch.fx.Node) -> tuple[Any, ...]:
    """The arguments of a call; torch's own type of them says nothing."""
    return node.args


def _matmul(node: torch.fx.Node, left: Any, right: Any, alpha: Any = 1, addend: Any = None, beta: Any = 1) -> Product:
    a, b = shape_of(left), shape_of(right)
    if len(a) < 2 or len(b) < 2:
        raise Unmatched("a product with a vector is no attention")
    letters = iter(string.ascii_letters)
    rows, inner, columns = next(letters), next(letters), next(letters)
    batch_a: list[str] = [""] * (len(a) - 2)
    batch_b: list[str] = [""] * (len(b) - 2)
    out: list[str] = []
    for back in range(max(len(a), len(b)) - 2, 0, -1):
        size_a = a[-2 - back] if back <= len(a) - 2 else 1
        size_b = b[-2 - back] if back <= len(b) - 2 else 1
        letter = "" if equal(size_a, 1) and equal(size_b, 1) else next(letters)
        if not equal(size_a, 1):
            batch_a[-back] = letter
        if not equal(size_b, 1):
            batch_b[-back] = letter
        out.append(letter)
    return Product(
        node,
        left,
        right,
        (*batch_a, rows, inner),
        (*batch_b, inner, columns),
        (*out, rows, columns),
        alpha,
        addend,
        beta,
    )


def _einsum(node: torch.fx.Node) -> Product:
    equation, operands = str(node.args[0]).replace(" ", ""), list(_args(node)[1])
    if len(operands) != 2:
        raise Unmatched(f"an einsum of {len(operands)} operands is not read as one product")
    inputs, arrow, result = equation.partition("->")
    texts = inputs.split(",")
    shapes = [shape_of(operand) for operand in operands]
    names = [_spread(text, len(shape)) for text, shape in zip(texts, shapes, strict=True)]
    if not arrow:
        raise Unmatched("an einsum without -> is not read")
    rank = node.meta["val"].dim()
    out = _spread(result, rank)
    for dims in (*names, out):
        if len(set(dims)) != len(dims):
            raise Unmatched("an einsum takes a diagonal")
    left, right = names
    if any((letter in left) + (letter in right) == 1 and letter not in out for letter in {*left, *right}):
        raise Unmatched("an einsum sums over an axis of one operand alone")
    stretched = [
        tuple("" if equal(size, 1) and _elsewhere(letter, index, names, shapes) else letter
              for letter, size in zip(dims, shape, strict=True))
        for index, (dims, shape) in enumerate(zip(names, shapes, strict=True))
    ]  # fmt: skip
    kept = {letter for dims in stretched for letter in dims}
    return Product(
        node, operands[0], operands[1], stretched[0], stretched[1], tuple(x if x in kept else "" for x in out)
    )


def _elsewhere(letter: str, index: int, names: list[tuple[str, ...]], shapes: list[list[Any]]) -> bool:
    """Whether the dimension of size 1 `letter` of operand `index` is stretched, or is 1 everywhere and a batch."""
    other = 1 - index
    return letter in names[other] and not equal(shapes[other][names[other].index(letter)], 1)


def _spread(text: str, rank: int) -> tuple[str, ...]:
    """The letters of `text` with an ellipsis written as digits, aligned from the right."""
    if "..." not in text:
        return tuple(text)
    before, after = text.split("...")
    count = rank - len(before) - len(after)
    return (*before, *(str(index) for index in range(count - 1, -1, -1)), *after)
