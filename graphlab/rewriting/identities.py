"""Calls that return what they were given: told by the rule of the operator and by what it would have to change."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from graphlab.ops.rule import rule_for
from graphlab.rewriting.memory import same_kind

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten

_COPIES = {aten.clone, aten._to_copy, aten.lift_fresh, aten.lift_fresh_copy, aten.lift, aten.detach, aten.alias}
_REGROUP = ("reshape", "expand", "squeeze", "unsqueeze")
"""Axis rules of operators that return their input whenever the shape stays."""
_SLICES = {aten.slice.Tensor, aten.narrow.default}
_NEUTRAL = {aten.add: 0, aten.sub: 0, aten.mul: 1, aten.div: 1, aten.pow: 1, aten.multiply: 1, aten.divide: 1}
"""The number that leaves the first operand as it is."""


def source_of(node: Node) -> Node | None:
    """The operand whose values, in the same shape, dtype and device, are the result of `node`; None if none is."""
    if node.target is operator.getitem:
        return _of_first_result(node)
    source = node.args[0] if node.args else None
    if isinstance(source, (list, tuple)):
        source = source[0] if len(source) == 1 and node.target is aten.cat.default else None
    if not isinstance(source, Node) or not isinstance(node.target, torch._ops.OpOverload):
        return None
    before, after = source.meta.get("val"), node.meta.get("val")
    if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor) or not same_kind(before, after):
        return None
    return source if _repeats(node) else None


def _of_first_result(node: Node) -> Node | None:
    """The input of an inactive `native_dropout` whose first result `node` is, of a split into one."""
    whole, index = node.args
    if not isinstance(whole, Node) or index != 0 or whole.op != "call_function":
        return None
    source = whole.args[0] if whole.args else None
    if not isinstance(source, Node) or not isinstance(source.meta.get("val"), torch.Tensor):
        return None
    if whole.target is aten.native_dropout.default and _inactive(whole):
        return source
    rule = rule_for(str(whole.target))
    split = rule is not None and rule.axes == "split" and whole.target is not aten.unbind.int
    return source if split and same_kind(source.meta["val"], node.meta["val"]) else None


def _repeats(node: Node) -> bool:
    """Whether `node`, whose result has the shape and dtype of its first operand, holds the same values."""
    rule, packet = rule_for(str(node.target)), getattr(node.target, "overloadpacket", None)
    if packet in _COPIES or node.target in _SLICES:
        return True
    if packet in _NEUTRAL:
        return _neutral(node, _NEUTRAL[packet])
    if node.target in (aten.repeat.default, aten.tile.default, aten.repeat_interleave.self_int, aten.cat.default):
        return True
    if node.target in (aten.pad.default, aten.constant_pad_nd.default):
        return isinstance(node.args[1], (list, tuple)) and all(type(n) is int and n == 0 for n in node.args[1])
    if rule is None or rule.category != "movement":
        return False
    if rule.moves == "identity":
        return _inactive(node)
    if rule.axes == "permute":
        order = permutation(node)
        return order is not None and list(order) == sorted(order)
    return rule.moves in ("cast", "contiguous") or rule.axes in _REGROUP


def _inactive(node: Node) -> bool:
    """Whether a dropout passes its input through: not training, or nothing to drop."""
    rate = node.args[1] if len(node.args) > 1 else node.kwargs.get("p")
    train = node.args[2] if len(node.args) > 2 else node.kwargs.get("train")
    return train is False or (isinstance(rate, (int, float)) and rate == 0)


def _neutral(node: Node, number: int) -> bool:
    """x - 0, x * 1, x / 1, x ** 1, and x + 0 where no -0.0 can become 0.0: of integers, or adding -0.0.

    Only a number written into the program counts; `div` by 1 with a rounding mode changes its input, and a factor
    (`alpha`) may turn the sign of a zero.
    """
    other = node.args[1] if len(node.args) > 1 else None
    if type(other) not in (int, float) or other != number or node.kwargs.keys() & {"rounding_mode", "alpha"}:
        return False
    return not adds_zero(node)


def adds_zero(node: Node) -> bool:
    """Whether `node` adds +0.0 to floats (or subtracts -0.0), which turns -0.0 into 0.0 and changes nothing else."""
    packet = getattr(node.target, "overloadpacket", None)
    if packet not in (aten.add, aten.sub) or len(node.args) < 2 or type(node.args[1]) not in (int, float):
        return False
    value, number = node.meta.get("val"), float(node.args[1])  # type: ignore[arg-type]  # a number, checked above
    if number != 0 or not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
        return False
    negative = str(number).startswith("-")
    return negative if packet is aten.sub else not negative


def permutation(node: Node) -> tuple[int, ...] | None:
    """Which axis of the operand each axis of the result is, for operators that only reorder axes; None for others."""
    rule = rule_for(str(node.target))
    source = node.args[0] if node.args else None
    if rule is None or rule.axes != "permute" or not isinstance(source, Node):
        return None
    rank = source.meta["val"].dim()
    axes = list(range(rank))
    if node.target is aten.permute.default:
        dims: Any = node.args[1]
        return tuple(dim % rank for dim in dims)
    if node.target in (aten.transpose.int, aten.swapdims.default, aten.swapaxes.default):
        _swap(axes, node.args[1:])
        return tuple(axes)
    if node.target in (aten.t.default, aten.mT.default, aten.numpy_T.default):
        return _turned(axes, all_axes=node.target is aten.numpy_T.default)
    return None


def _swap(axes: list[int], dims: Sequence[Any]) -> None:
    first, second = (dim % len(axes) if axes else 0 for dim in dims)
    if axes:
        axes[first], axes[second] = axes[second], axes[first]


def _turned(axes: list[int], *, all_axes: bool) -> tuple[int, ...]:
    if all_axes or len(axes) < 2:
        return tuple(reversed(axes))
    return (*axes[:-2], axes[-1], axes[-2])


_EXACT = {torch.bfloat16, torch.float16, torch.float32, torch.float64}


def round_trip(node: Node) -> Node | None:
    """The value that `node` casts back to its dtype after a cast to a wider one, which holds every number of it.

    bfloat16 to float32 and back returns what went in; float32 to bfloat16 and back does not.
    """
    inner = node.args[0] if is_cast(node) else None
    source = inner.args[0] if isinstance(inner, Node) and is_cast(inner) else None
    if not isinstance(inner, Node) or not isinstance(source, Node):
        return None
    narrow, wide = source.meta["val"], inner.meta["val"]
    if not same_kind(narrow, node.meta["val"]) or wide.device != narrow.device:
        return None
    floats = {narrow.dtype, wide.dtype} <= _EXACT
    return source if floats and torch.promote_types(narrow.dtype, wide.dtype) == wide.dtype else None


def is_cast(node: Node) -> bool:
    """Whether `node` changes the dtype or device of a tensor and no value beyond rounding."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], Node):
        return False
    rule = rule_for(str(node.target))
    moves = rule is not None and rule.moves == "cast"
    return (moves or node.target is aten._to_copy.default) and isinstance(node.args[0].meta.get("val"), torch.Tensor)
