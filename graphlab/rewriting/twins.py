"""Whether a table holds every number twice along its last axis: what is computed for pairs of channels does."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch

from graphlab.ops import rule_for
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import permutation

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten

_DEEPEST = 40


class Twins:
    """Answers by construction (a concatenation with itself, a repetition), through what keeps the last axis, or by
    value for constants. Interleaved twins are channels 2 i and 2 i + 1, others channels i and i + half."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._found: dict[tuple[Node, bool], bool] = {}

    def holds(self, node: Node, interleaved: bool, depth: int = _DEEPEST) -> bool:
        """Whether the last axis of `node` is shown to hold twins."""
        key = (node, interleaved)
        if key not in self._found:
            self._found[key] = depth > 0 and self._holds(node, interleaved, depth - 1)
        return self._found[key]

    def _holds(self, node: Node, interleaved: bool, depth: int) -> bool:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor) or not value.dim():
            return False
        if node.op != "call_function":
            return self._by_value(node, interleaved)
        if node.target is aten.cat.default:
            return self._joined(node, interleaved, depth)
        if node.target is aten.repeat_interleave.self_int:
            given = arguments(node)
            if given["dim"] is not None and given["dim"] % value.dim() == value.dim() - 1:
                return interleaved and given["repeats"] == 2
        if _doubles(node, interleaved):
            return True
        sources = _through(node)
        if sources:
            return all(self.holds(source, interleaved, depth) for source in sources)
        return self._by_value(node, interleaved)

    def _joined(self, node: Node, interleaved: bool, depth: int) -> bool:
        given = arguments(node)
        parts = given["tensors"]
        if given["dim"] % node.meta["val"].dim() != node.meta["val"].dim() - 1:
            return all(self.holds(part, interleaved, depth) for part in parts)
        if interleaved:
            return all(self.holds(part, True, depth) for part in parts)
        return len(parts) == 2 and same_value(parts[0], parts[1])

    def _by_value(self, node: Node, interleaved: bool) -> bool:
        tensor = self.known.tensor(node)
        if tensor is None or not tensor.dim() or tensor.shape[-1] % 2:
            return False
        half = tensor.shape[-1] // 2
        pair = (tensor[..., ::2], tensor[..., 1::2]) if interleaved else (tensor[..., :half], tensor[..., half:])
        return torch.equal(*pair)


def same_value(a: Any, b: Any, depth: int = _DEEPEST) -> bool:
    """Whether two values are computed the same way of the same values."""
    if a is b:
        return True
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(same_value(x, y, depth) for x, y in zip(a, b, strict=True))
    if not isinstance(a, Node) or not isinstance(b, Node):
        return type(a) is type(b) and bool(a == b)
    if depth == 0 or a.op != "call_function" or a.target is not b.target or a.kwargs != b.kwargs:
        return False
    return not _is_random(a) and same_value(a.args, b.args, depth - 1)


def _is_random(node: Node) -> bool:
    """Whether two calls of the operator may give two results; operators that are not torch's may."""
    overload = node.target
    return not isinstance(overload, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded in overload.tags


def _doubles(node: Node, interleaved: bool) -> bool:
    """Whether `node` joins the two last axes of a stack, or of a broadcast, of one value with itself."""
    source = node.args[0] if node.args else None
    if not _regroups(node) or not isinstance(source, Node):
        return False
    before, after = source.meta["val"], node.meta["val"]
    if before.dim() != after.dim() + 1 or not same_size(after.shape[-1], before.shape[-1] * before.shape[-2]):
        return False
    axis = before.dim() - (1 if interleaved else 2)
    if before.shape[axis] != 2:
        return False
    if source.target is aten.stack.default:
        given = arguments(source)
        first, second = given["tensors"]
        return given["dim"] % before.dim() == axis and same_value(first, second)
    if source.target in (aten.expand.default, aten.repeat.default):
        inner: Any = source.args[0]
        shape = inner.meta["val"].shape
        return len(shape) == before.dim() and isinstance(shape[axis], int) and shape[axis] == 1
    return False


def _regroups(node: Node) -> bool:
    rule = rule_for(str(node.target))
    return rule is not None and rule.category == "movement" and rule.axes in ("reshape", "squeeze", "unsqueeze")


def _through(node: Node) -> list[Node]:
    """The operands whose last axes `node` keeps as its own: what it makes of twins are twins; none for others."""
    rule = rule_for(str(node.target))
    source = node.args[0] if node.args else None
    value = node.meta["val"]
    if rule is None or rule.in_place or _is_random(node):
        return []
    if rule.axes == "broadcast":
        return _operands(node) if rule.category in ("elementwise", "activation") else []
    if not isinstance(source, Node) or not isinstance(source.meta.get("val"), torch.Tensor):
        return []
    before = source.meta["val"]
    same_last = bool(before.dim()) and same_size(before.shape[-1], value.shape[-1])
    if rule.axes == "same" and rule.category in ("elementwise", "activation", "movement"):
        return [source] if same_last and not _reads_others(node) else []
    if rule.axes == "permute":
        order = permutation(node)
        return [source] if order is not None and order[-1] == before.dim() - 1 else []
    if node.target is aten.index.Tensor:
        indices = arguments(node)["indices"]
        return [source] if len(indices) < before.dim() and same_last else []
    if node.target in (aten.select.int, aten.index_select.default, aten.slice.Tensor, aten.narrow.default):
        return [source] if int(arguments(node)["dim"]) % before.dim() != before.dim() - 1 else []
    keeps = _regroups(node) or node.target in (aten.expand.default, aten.embedding.default)
    return [source] if keeps and same_last and value.shape[-1] != 1 else []


def _reads_others(node: Node) -> bool:
    """Whether `node` reads tensors besides its first: what is written into that (scatter, copy), or scales channels."""
    return any(isinstance(item.meta.get("val"), torch.Tensor) for item in node.all_input_nodes[1:])


def _operands(node: Node) -> list[Node]:
    """The operands of an elementwise operator that vary along the last axis."""
    varying = []
    for item in node.all_input_nodes:
        value = item.meta.get("val")
        if isinstance(value, torch.Tensor) and value.dim() and value.shape[-1] != 1:
            varying.append(item)
    return varying
