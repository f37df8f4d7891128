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
    for node in draft.calls():
        if isinstance(node.target, torch._ops.OpOverload) and _mixed(node):
            _promote(node, draft)


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
