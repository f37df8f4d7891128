"""fuse-groupnorm-silu: a group norm that only a SiLU reads becomes `graphlab::group_norm_silu`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.fused.group_norm_silu import GROUP_NORM_SILU
from graphlab.fused.registry import arguments
from graphlab.ops import rule_for
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.rewrite import Peephole

aten = torch.ops.aten


@dataclass(frozen=True)
class FuseGroupnormSilu(Peephole):
    """silu(group_norm(x)) as one operator that does not write the norm; also where silu is spelled n * sigmoid(n).

    Before: `norm = aten.group_norm(x, 32, weight, bias, 1e-06); silu = aten.silu(norm)`
    After:  `group_norm_silu = graphlab.group_norm_silu(x, 32, weight, bias, 1e-06)`

    Stays: a norm that something else reads, another activation, a cast between the two.
    """

    name: ClassVar[str] = "fuse-groupnorm-silu"
    targets: ClassVar[tuple[Any, ...]] = (aten.silu.default, aten.mul.Tensor, aten.group_norm.default)
    why: ClassVar[str] = "silu of a group norm that nothing else reads"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        """graphlab::group_norm_silu, why the silu or the norm stays, or None when there is no norm with a silu."""
        if node.target is aten.group_norm.default:
            return _other_activation(node)
        normed, readers = _silu_input(node)
        if normed is None:
            return None
        norm = _norm(normed)
        if norm is None:
            return "a cast stands between the group norm and the silu" if _is_cast_of_norm(normed) else None
        if isinstance(norm, str):
            return norm
        if not normed.users.keys() <= readers:
            return f"{normed} is read elsewhere"
        if node.target is aten.mul.Tensor and any(len(r.users) > 1 for r in readers if r is not node):
            return "the sigmoid of the spelled-out silu is read elsewhere"
        return draft.call(GROUP_NORM_SILU, *norm, at=node)


def _silu_input(node: torch.fx.Node) -> tuple[torch.fx.Node | None, set[torch.fx.Node]]:
    """(n, the nodes of the silu that read n) for silu(n) or n * sigmoid(n); (None, empty) for anything else."""
    if node.target is aten.silu.default:
        source = node.args[0]
        return (source, {node}) if isinstance(source, torch.fx.Node) else (None, set())
    left, right = node.args
    for normed, gate in ((left, right), (right, left)):
        if not isinstance(normed, torch.fx.Node) or not isinstance(gate, torch.fx.Node):
            continue
        if gate.target is aten.sigmoid.default and gate.args[0] is normed:
            return normed, {node, gate}
    return None, set()


def _norm(node: torch.fx.Node) -> tuple[Any, ...] | str | None:
    """(x, groups, weight, bias, eps) of a group norm, why a native one has no such form, or None for others."""
    if node.target is aten.group_norm.default:
        given = arguments(node)
        return given["input"], given["num_groups"], given["weight"], given["bias"], given["eps"]
    native = node.args[0] if node.target is operator.getitem else None
    if not isinstance(native, torch.fx.Node) or native.target is not aten.native_group_norm.default:
        return None
    if node.args[1] != 0:
        return None
    if any(user.args[1] != 0 and user.users for user in native.users):
        return "the mean or the deviation of the group norm is read"
    given = arguments(native)
    shape = given["input"].meta["val"].shape
    if not all(same_size(size, _value(given[name])) for size, name in zip(shape, ("N", "C"), strict=False)):
        return f"the group norm sees {given['N']} x {given['C']} channels in a tensor {tuple(shape)}"
    return given["input"], given["group"], given["weight"], given["bias"], given["eps"]


def _value(size: Any) -> Any:
    """A size, or what the node that computes it holds."""
    return size.meta["val"] if isinstance(size, torch.fx.Node) else size


def _is_cast_of_norm(node: torch.fx.Node) -> bool:
    rule = rule_for(str(node.target))
    source = node.args[0] if rule is not None and rule.moves == "cast" else None
    return isinstance(source, torch.fx.Node) and isinstance(_norm(source), tuple)


def _other_activation(norm: torch.fx.Node) -> str | None:
    """Why a norm stays that an activation reads and no silu does; None when neither, or when a silu does."""
    readers = [(user, rule_for(str(user.target))) for user in norm.users]
    acting = [user for user, rule in readers if rule is not None and rule.category == "activation"]
    if not acting or any(_silu_input(user)[0] is norm for user in norm.users if user.target in _SILU):
        return None
    return f"its activation is {acting[0].target}, not silu"


_SILU = (aten.silu.default, aten.mul.Tensor)
