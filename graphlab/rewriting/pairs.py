"""Values that are one of every pair of channels of a last axis: halves of it, or every second place of it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from graphlab.ops import rule_for
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import is_cast, source_of

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Whole:
    """A tensor of `shape` with the numbers of `root` in row-major order, before casts that keep every number.

    `sized` is a node and how many of its last axes are one axis of `shape`: where its sizes can be read.
    """

    root: Node
    shape: tuple[Any, ...]
    sized: Node
    joined: int = 1

    def same(self, other: Whole) -> bool:
        """Whether both are one tensor."""
        return self.root is other.root and same_sizes(self.shape, other.shape)

    def node(self, draft: Draft, at: Node) -> Node:
        """The tensor, before its casts, as a node before `at`."""
        if same_sizes(self.root.meta["val"].shape, self.shape):
            return self.root
        sizes = draft.shape(self.sized)
        last = draft.product(sizes[-self.joined :], at=at)
        return draft.call(aten.reshape.default, self.root, [*sizes[: -self.joined], last], at=at)


@dataclass(frozen=True, slots=True)
class Part:
    """The first (`index` 0) or second channel of every pair of `whole`."""

    whole: Whole
    interleaved: bool
    index: int


def whole_of(node: Node) -> Whole:
    """`node` as a Whole."""
    return Whole(root_of(node), tuple(node.meta["val"].shape), node)


def root_of(node: Node) -> Node:
    """What `node` regroups and casts to wider dtypes."""
    while True:
        node = uncast(node)
        source = node.args[0] if node.op == "call_function" and node.args else None
        if not isinstance(source, Node) or not regroups(node):
            return node
        node = source


def uncast(node: Node) -> Node:
    """`node` before casts to wider dtypes, which keep every number, and before calls that change nothing."""
    while node.op == "call_function":
        source = node.args[0] if widens(node) else source_of(node)
        if not isinstance(source, Node):
            break
        node = source
    return node


def regroups(node: Node) -> bool:
    """Whether `node` keeps the row-major order of its values and their dtype."""
    rule = rule_for(str(node.target))
    keeps = rule is not None and rule.category == "movement" and rule.axes in ("reshape", "squeeze", "unsqueeze")
    return keeps and node.target not in (aten.view_as_real.default, aten.view_as_complex.default, aten.view.dtype)


def widens(node: Node) -> bool:
    """Whether `node` is a cast that keeps every number."""
    source = node.args[0] if node.op == "call_function" and node.args else None
    if not isinstance(source, Node) or not is_cast(node):
        return False
    before, after = source.meta["val"], node.meta["val"]
    if before.dtype not in FLOATS or after.dtype not in FLOATS or before.device != after.device:
        return False
    return bool(torch.promote_types(before.dtype, after.dtype) == after.dtype)


def part_of(node: Any) -> Part | None:
    """Which channel of every pair `node` is; None when it is no such part of a tensor."""
    if not isinstance(node, Node):
        return None
    node = uncast(node)
    if node.target is aten.slice.Tensor:
        return _of_slice(node)
    if node.target is aten.narrow.default:
        return _of_narrow(node)
    if node.target is operator.getitem:
        return _of_pieces(node)
    if node.target is aten.select.int:
        source, axis, index = node.args
        assert isinstance(source, Node)
        return _of_axis(source, axis, index)
    return None


def _of_slice(node: Node) -> Part | None:
    given = arguments(node)
    source, step = given["self"], given["step"]
    size = source.meta["val"].shape[-1]
    if not _is_last(given["dim"], source) or not isinstance(size, int) or size % 2:
        return None
    start = given["start"] or 0
    if not isinstance(start, int) or node.meta["val"].shape[-1] != size // 2:
        return None
    start += size if start < 0 else 0
    places = {0: 0, 1: 1} if step == 2 else {0: 0, size // 2: 1}
    if step not in (1, 2) or start not in places:
        return None
    return Part(whole_of(source), step == 2, places[start])


def _of_narrow(node: Node) -> Part | None:
    source, dim, start, length = node.args[:4]
    assert isinstance(source, Node)
    size = source.meta["val"].shape[-1]
    if not _is_last(dim, source) or not isinstance(size, int) or not isinstance(start, int) or size != 2 * length:  # type: ignore[operator]  # a size
        return None
    start += size if start < 0 else 0
    return Part(whole_of(source), False, {0: 0, size // 2: 1}[start]) if start in (0, size // 2) else None


def _of_pieces(node: Node) -> Part | None:
    pieces, index = node.args
    assert isinstance(pieces, Node)
    rule = rule_for(str(pieces.target))
    source = pieces.args[0] if pieces.args else None
    if rule is None or rule.axes != "split" or not isinstance(source, Node) or len(pieces.meta["val"]) != 2:
        return None
    given = arguments(pieces)
    if pieces.target is aten.unbind.int:
        return _of_axis(source, given["dim"], index)
    value = node.meta["val"]
    if not _is_last(given.get("dim", 0), source) or not same_size(2 * value.shape[-1], source.meta["val"].shape[-1]):
        return None
    assert isinstance(index, int)
    return Part(whole_of(source), False, index)


def _of_axis(source: Node, axis: Any, index: Any) -> Part | None:
    """Place `index` of an axis of size 2 that is the last of `source` (interleaved) or the one before."""
    shape = source.meta["val"].shape
    from_right = axis % len(shape) - len(shape)
    if len(shape) < 2 or from_right not in (-1, -2) or shape[from_right] != 2 or index not in (0, 1, -1, -2):
        return None
    whole = Whole(root_of(source), (*shape[:-2], shape[-2] * shape[-1]), source, 2)
    return Part(whole, from_right == -1, index % 2)


def _is_last(dim: Any, source: Node) -> bool:
    rank = source.meta["val"].dim()
    return bool(dim % rank == rank - 1)


@dataclass(frozen=True, slots=True)
class Joined:
    """`first` and `second`, the channels of every pair of `node`."""

    node: Node
    first: Node
    second: Node
    interleaved: bool


def joined(node: Node) -> Joined | None:
    """The pairs that `node` is made of; None when it is no join of two values along the last axis."""
    if node.target is aten.cat.default:
        given = arguments(node)
        parts = given["tensors"]
        if len(parts) != 2 or not _is_last(given["dim"], node):
            return None
        sizes = [part.meta["val"].shape[-1] for part in parts]
        return Joined(node, parts[0], parts[1], False) if same_size(*sizes) else None
    if regroups(node):
        return _of_stack(node)
    return _of_scatter(node) if node.target is aten.slice_scatter.default else None


def _of_stack(node: Node) -> Joined | None:
    source: Any = node
    while isinstance(source, Node) and regroups(source):
        source = source.args[0]
    if not isinstance(source, Node) or source.target is not aten.stack.default:
        return None
    given = arguments(source)
    parts, value, after = given["tensors"], source.meta["val"], node.meta["val"]
    from_right = given["dim"] % value.dim() - value.dim()
    if len(parts) != 2 or from_right not in (-1, -2) or after.dim() != value.dim() - 1:
        return None
    shape = (*value.shape[:-2], value.shape[-2] * value.shape[-1])
    if not same_sizes(shape, after.shape):
        return None
    return Joined(node, parts[0], parts[1], from_right == -1)


def same_sizes(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether two shapes are equal at every binding."""
    return len(a) == len(b) and all(same_size(x, y) for x, y in zip(a, b, strict=True))


def _of_scatter(node: Node) -> Joined | None:
    """Both places of every pair written into one tensor, which nothing of is left."""
    second = _written(node)
    first = _written(second[0]) if second is not None else None
    if first is None or second is None or {first[2], second[2]} != {0, 1}:
        return None
    values = {first[2]: first[1], second[2]: second[1]}
    return Joined(node, values[0], values[1], True)


def _written(node: Node) -> tuple[Node, Node, int] | None:
    """(tensor, value, start) of a value written at every second place of the last axis of a tensor."""
    if node.target is not aten.slice_scatter.default:
        return None
    given = arguments(node)
    base, value, size = given["self"], given["src"], node.meta["val"].shape[-1]
    start = given["start"] or 0
    if not _is_last(given["dim"], node) or given["step"] != 2 or not isinstance(size, int) or size % 2:
        return None
    if start not in (0, 1) or not same_size(value.meta["val"].shape[-1], size // 2):
        return None
    if value.target is aten.copy.default:
        value = value.args[1]
    whole = isinstance(value, Node) and value.meta["val"].dim() == node.meta["val"].dim()
    return (base, value, int(start)) if whole else None
