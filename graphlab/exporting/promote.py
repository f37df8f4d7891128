"""Explicit casts where an operator takes tensors of several dtypes: ATen promotes them, ONNX does not."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from graphlab.rewriting.draft import Draft

aten = torch.ops.aten


@cache
def _table() -> Any:
    from torch.onnx._internal.fx.passes.type_promotion import TypePromotionTable

    return TypePromotionTable()


def promote(draft: Draft) -> None:
    """Casts the arguments of every operator whose tensors are not of the dtype torch computes it in."""
    for node in draft.calls(*_JOINS):
        _join(node, draft)
    for node in draft.calls(*_ARITHMETIC):
        _measure(node, draft)
    for node in draft.calls(*_COMPUTED_IN):
        _compute_in(node, draft)
    for node in draft.calls():
        if isinstance(node.target, torch._ops.OpOverload) and _mixed(node):
            _promote(node, draft)


_JOINS = (aten.cat.default, aten.stack.default)
_ARITHMETIC = (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)
_COMPUTED_IN = (aten.mean.dim, aten.mean.default, aten.softmax.int, aten.log_softmax.int)
"""Operators whose `dtype` is that they compute in; torch's translations cast what comes out."""


def _join(node: torch.fx.Node, draft: Draft) -> None:
    """Parts of one dtype, without those of shape (0,), which torch joins with anything."""
    parts: Any = node.args[0]
    value = node.meta["val"]
    there = [part for part in parts if value.dim() == 1 or tuple(part.meta["val"].shape) != (0,)]
    made = [_as(part, value.dtype, draft, node) for part in there]
    if made != list(parts):
        draft.rewire(node, (made, *node.args[1:]), "parts of one dtype")


def _measure(node: torch.fx.Node, draft: Draft) -> None:
    """A size among the operands as a number of the result's dtype: in ONNX sizes are integers."""
    made = [
        draft.call(aten.scalar_tensor.default, arg, at=node, dtype=node.meta["val"].dtype) if _is_size(arg) else arg
        for arg in node.args
    ]
    if made != list(node.args):
        draft.rewire(node, tuple(made), "a size as a number")


def _is_size(arg: Any) -> bool:
    return isinstance(_value(arg), (torch.SymInt, torch.SymFloat))


def _compute_in(node: torch.fx.Node, draft: Draft) -> None:
    source = node.args[0]
    assert isinstance(source, torch.fx.Node)
    made = _as(source, node.meta["val"].dtype, draft, node)
    if made is not source:
        draft.rewire(node, (made, *node.args[1:]), "computed in the dtype of the result")


def _as(value: torch.fx.Node, dtype: torch.dtype, draft: Draft, at: torch.fx.Node) -> torch.fx.Node:
    if value.meta["val"].dtype == dtype:
        return value
    return draft.call(aten._to_copy.default, value, at=at, dtype=dtype)


def _mixed(node: torch.fx.Node) -> bool:
    dtypes = {value.dtype for value in map(_value, node.args) if isinstance(value, torch.Tensor)}
    made = node.meta.get("val")
    if len(dtypes) > 1:
        return True
    return isinstance(made, torch.Tensor) and bool(dtypes) and dtypes != {made.dtype}


def _value(arg: Any) -> Any:
    return arg.meta.get("val") if isinstance(arg, torch.fx.Node) else arg


def _promote(node: torch.fx.Node, draft: Draft) -> None:
    assert isinstance(node.target, torch._ops.OpOverload)
    rule = _table().get_rule(node.target.overloadpacket)
    if rule is None:
        return
    args = tuple(map(_value, node.args))
    kwargs = {key: _value(value) for key, value in node.kwargs.items()}
    wanted = rule.preview_type_promotion(args, kwargs).args_dtypes
    made = list(node.args)
    for index, dtype in wanted.items():
        value = args[index] if index < len(args) else None
        if isinstance(value, torch.Tensor) and dtype is not None and value.dtype != dtype:
            made[index] = draft.call(aten._to_copy.default, node.args[index], at=node, dtype=dtype)
    if made != list(node.args):
        draft.rewire(node, tuple(made), "dtypes as torch promotes them")
