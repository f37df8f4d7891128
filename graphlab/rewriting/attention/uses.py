"""Who reads the scores of an attention: those who read numbers stand in its way, those who read a shape do not."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.rewriting.attention.axes import Dims, dims_of, written
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.purity import removable

aten = torch.ops.aten
_LIKE: dict[Any, Any] = {
    aten.full_like.default: aten.full.default, aten.zeros_like.default: aten.zeros.default,
    aten.ones_like.default: aten.ones.default, aten.empty_like.default: aten.empty.memory_format,
}  # fmt: skip
_AS: dict[Any, Any] = {
    aten.expand_as.default: aten.expand.default, aten.view_as.default: aten.reshape.default,
    aten.reshape_as.default: aten.reshape.default,
}  # fmt: skip


def is_assertion(node: torch.fx.Node) -> bool:
    """Whether `node` only asserts something about its argument."""
    return "_assert_tensor_metadata" in str(node.target)


def is_dead(node: torch.fx.Node, depth: int = 64) -> bool:
    """Whether nothing comes of `node`: nobody reads it, or only what is dead itself."""
    if node.op != "call_function" or not removable(node) or depth == 0:
        return False
    return all(is_dead(user, depth - 1) for user in node.users)


def reads_shape(node: torch.fx.Node, source: torch.fx.Node) -> bool:
    """Whether `node` takes nothing from `source` but its shape or dtype."""
    if node.target in _LIKE or node.target in (aten.sym_size.int, aten.sym_numel.default):
        return True
    return (node.target in _AS or node.target is aten.type_as.default) and node.args[0] is not source


def data_inputs(node: torch.fx.Node) -> list[torch.fx.Node]:
    """The arguments whose numbers `node` reads."""
    return [item for item in node.all_input_nodes if not reads_shape(node, item)]


def detach_shapes(draft: Draft, dims: dict[torch.fx.Node, Dims], members: set[torch.fx.Node]) -> bool:
    """Gives what reads the shape of a member of an attention the same shape from elsewhere.

    `dims` are the axes of the members. The values stay the same, so this is right whether or not the attention is
    fused. Dead readers are taken out. Returns whether anything was changed.
    """
    changed = False
    for node, axes in dims.items():
        for user in list(node.users):
            if user._erased or user in members:
                continue
            if is_assertion(user):
                draft.graph.erase_node(user)
            elif is_dead(user):
                _erase_dead(draft, user)
            elif reads_shape(user, node):
                _detach(draft, user, node, dims_of(axes))
            changed = True
    return changed


def _erase_dead(draft: Draft, node: torch.fx.Node) -> None:
    for user in list(node.users):
        if not user._erased:
            _erase_dead(draft, user)
    draft.graph.erase_node(node)


def _detach(draft: Draft, user: torch.fx.Node, source: torch.fx.Node, dims: Dims) -> None:
    sizes = [draft.product([written(axis, draft, user) for axis in axes], at=user) for axes in dims]
    value = source.meta["val"]
    if user.target is aten.sym_size.int:
        size = sizes[int(user.args[1])]  # type: ignore[arg-type]  # a dimension
        user.replace_all_uses_with(size) if isinstance(size, torch.fx.Node) else _as_number(user, size)
    elif user.target is aten.sym_numel.default:
        count = draft.product(sizes, at=user)
        user.replace_all_uses_with(count) if isinstance(count, torch.fx.Node) else _as_number(user, count)
    else:
        user.replace_all_uses_with(_same_without(draft, user, sizes, value), propagate_meta=False)
    draft.graph.erase_node(user)


def _as_number(node: torch.fx.Node, number: Any) -> None:
    """Every use of `node` becomes `number`."""
    for user in list(node.users):
        args, kwargs = torch.fx.map_arg((user.args, dict(user.kwargs)), lambda n: number if n is node else n)
        user.args, user.kwargs = args, kwargs


def _same_without(draft: Draft, user: torch.fx.Node, sizes: list[Any], value: torch.Tensor) -> torch.fx.Node:
    if user.target is aten.type_as.default:
        return draft.call(aten.to.dtype, user.args[0], value.dtype, at=user)
    if user.target in _AS:
        return draft.call(_AS[user.target], user.args[0], sizes, at=user)
    own = user.meta["val"]
    fill = [user.args[1]] if user.target is aten.full_like.default else []
    return draft.call(
        _LIKE[user.target],
        sizes,
        *fill,
        dtype=own.dtype,
        device=own.device,
        at=user,
    )
