"""fuse-geglu: one half of a last axis times the GELU of the other becomes `graphlab::geglu`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

import torch

from graphlab.fused.geglu import GEGLU
from graphlab.fused.registry import arguments
from graphlab.ops import rule_for
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.memory import always_equal
from graphlab.rewriting.rewrite import Peephole

aten = torch.ops.aten


@dataclass(frozen=True)
class FuseGeglu(Peephole):
    """hidden * gelu(gate), the two halves of one last axis, as one operator that writes neither gelu nor halves.

    Before: `chunk = aten.chunk(x, 2, -1); mul = aten.mul(chunk[0], aten.gelu(chunk[1]))`
    After:  `geglu = graphlab.geglu(x, 'none', False)`

    The halves may be made by chunk, split or slices, and the gate may be either of them. Stays: another activation,
    unequal or interleaved parts, parts of another axis or of two tensors, a gelu that something else reads.
    """

    name: ClassVar[str] = "fuse-geglu"
    targets: ClassVar[tuple[Any, ...]] = (aten.mul.Tensor,)
    why: ClassVar[str] = "hidden * gelu(gate) of the two halves of one axis"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        """graphlab::geglu, why the product stays, or None when no factor is an activation."""
        left, right = node.args
        for hidden, bent in ((left, right), (right, left)):
            if not isinstance(hidden, torch.fx.Node) or not _is_activation(bent):
                continue
            gate = bent.args[0]
            first, second = _part(hidden), _part(gate)
            if bent.target is not aten.gelu.default:
                if first is None or second is None or first.source is not second.source:
                    continue  # a product with some activation: nothing like a geglu
                return f"the gate goes through {bent.target}, not gelu"
            if first is None or second is None:
                return f"{hidden} and {gate} are not parts of one tensor"
            reason = _no_halves(first, second)
            if reason is not None:
                return reason
            if len(bent.users) > 1:
                return f"{bent} is read elsewhere"
            options = (arguments(bent)["approximate"], same_size(second.start, 0))
            return draft.call(GEGLU, first.source, *options, at=node)
        return None


@dataclass(frozen=True, slots=True)
class _Part:
    """`size` positions of axis `axis` (from the left) of `source`, from `start`, every `step`-th."""

    source: torch.fx.Node
    axis: int
    start: Any
    size: Any
    step: Any = 1


def _is_activation(value: Any) -> TypeGuard[torch.fx.Node]:
    """Whether `value` is a call of an activation function of one tensor."""
    if not isinstance(value, torch.fx.Node) or not isinstance(value.target, torch._ops.OpOverload):
        return False
    rule = rule_for(str(value.target))
    return rule is not None and rule.category == "activation" and len(value.all_input_nodes) == 1


def _no_halves(hidden: _Part, gate: _Part) -> str | None:
    """Why the two are not the two halves of one last axis; None when they are."""
    if hidden.source is not gate.source:
        return f"the factors are parts of two tensors, {hidden.source} and {gate.source}"
    shape = hidden.source.meta["val"].shape
    if hidden.axis != gate.axis or hidden.axis != len(shape) - 1:
        return f"the parts are of axis {hidden.axis} and {gate.axis}, the last axis is {len(shape) - 1}"
    if hidden.step != 1 or gate.step != 1:
        return f"the parts take every {hidden.step}th position of the axis, not a half"
    if not same_size(hidden.size, gate.size) or not always_equal(hidden.size + gate.size, shape[-1]):
        return f"the parts are {hidden.size} and {gate.size} of {shape[-1]} positions, not halves"
    starts = (hidden.start, gate.start)
    if not any(same_size(a, 0) and same_size(b, hidden.size) for a, b in (starts, starts[::-1])):
        return f"the parts start at {hidden.start} and {gate.start}: they are not the two halves"
    return None


def _part(node: Any) -> _Part | None:
    """What part of which tensor `node` is; None when it is not made by splitting or slicing one."""
    if not isinstance(node, torch.fx.Node) or node.op != "call_function":
        return None
    if node.target is operator.getitem:
        return _of_split(node)
    if node.target is aten.slice.Tensor:
        return _of_slice(node)
    if node.target is aten.narrow.default:
        source, axis, start, size = node.args[:4]
        assert isinstance(source, torch.fx.Node)
        return _Part(source, _axis(source, axis), _from_left(_value(start), source, axis), _value(size))
    return None


def _of_split(node: torch.fx.Node) -> _Part | None:
    pieces, index = node.args
    assert isinstance(pieces, torch.fx.Node)
    assert isinstance(index, int)
    rule = rule_for(str(pieces.target))
    if rule is None or rule.axes != "split" or "dim" not in arguments(pieces):
        return None
    values = pieces.meta["val"]
    source = pieces.args[0]
    if not isinstance(source, torch.fx.Node) or values[index].dim() != source.meta["val"].dim():
        return None  # unbind takes the axis away
    axis = _axis(source, arguments(pieces)["dim"])
    sizes = [value.shape[axis] for value in values]
    return _Part(source, axis, sum(sizes[:index]), sizes[index])


def _of_slice(node: torch.fx.Node) -> _Part:
    given = arguments(node)
    source, axis = given["self"], given["dim"]
    start = _from_left(_value(given["start"] or 0), source, axis)
    return _Part(source, _axis(source, axis), start, node.meta["val"].shape[axis], _value(given["step"]))


def _axis(source: torch.fx.Node, axis: Any) -> int:
    return int(axis) % int(source.meta["val"].dim())


def _from_left(start: Any, source: torch.fx.Node, axis: Any) -> Any:
    return start + source.meta["val"].shape[axis] if isinstance(start, int) and start < 0 else start


def _value(size: Any) -> Any:
    """A size, or what the node that computes it holds."""
    return size.meta["val"] if isinstance(size, torch.fx.Node) else size
