"""The normalisation at the heart of an attention: softmax by name, or exponentials over their sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.rewriting.draft import Draft

aten = torch.ops.aten
SOFTMAX = (aten.softmax.int, aten._softmax.default, aten._safe_softmax.default)
CASTS = (aten.to.dtype, aten._to_copy.default, aten.to.dtype_layout, aten.type_as.default, aten.to.device)
SAME = (aten.alias.default, aten.detach.default, aten.clone.default, aten.contiguous.default)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """`out` is the softmax of `scores` over `dim` (from the right); `members` are the nodes between, `out` included.

    `zero_dead` says that rows that are -inf throughout become 0 and not NaN.
    """

    out: torch.fx.Node
    scores: torch.fx.Node
    dim: int
    members: tuple[torch.fx.Node, ...]
    zero_dead: bool = False


def normalisations(draft: Draft) -> Iterator[Normalisation]:
    """Every softmax of the graph, in execution order."""
    for node in draft.calls():
        found = by_name(node) if node.target in SOFTMAX else spelled(node) if node.target is aten.exp.default else None
        if found is not None:
            yield _without_max(found)


def by_name(node: torch.fx.Node) -> Normalisation | None:
    """The Normalisation of a softmax operator."""
    scores, dim = node.args[0], node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", -1)
    assert isinstance(scores, torch.fx.Node)
    rank = scores.meta["val"].dim()
    if rank == 0 or not isinstance(dim, int):
        return None
    return Normalisation(node, scores, dim % rank - rank, (node,), node.target is aten._safe_softmax.default)


def spelled(exp: torch.fx.Node) -> Normalisation | None:
    """exp(x) / sum(exp(x)), exp(log_softmax(x)) or exp(x - logsumexp(x)); None for an exponential of another use."""
    argument = exp.args[0]
    assert isinstance(argument, torch.fx.Node)
    rank = exp.meta["val"].dim()
    if argument.target in (aten.log_softmax.int, aten._log_softmax.default):
        scores, dim = argument.args[:2]
        assert isinstance(scores, torch.fx.Node)
        assert isinstance(dim, int)
        return Normalisation(exp, scores, dim % rank - rank, (argument, exp))
    if argument.target is aten.sub.Tensor and not argument.kwargs:
        scores, total = argument.args
        if isinstance(total, torch.fx.Node) and total.target is aten.logsumexp.default and total.args[0] is scores:
            dim = _kept_dim(total, rank)
            if dim is not None and isinstance(scores, torch.fx.Node):
                return Normalisation(exp, scores, dim, (total, argument, exp))
    return _over_sum(exp, argument, rank)


def _over_sum(exp: torch.fx.Node, argument: torch.fx.Node, rank: int) -> Normalisation | None:
    """exp(x) / sum(exp(x), dim, keepdim)."""
    for total in exp.users:
        if total.target is not aten.sum.dim_IntList or not total.meta["val"].dtype.is_floating_point:
            continue
        dim = _kept_dim(total, rank)
        kept, dim = (total, dim) if dim is not None else _unsqueezed(total, rank)
        if dim is None or kept is None:
            continue
        for user in kept.users:
            if user.target is aten.div.Tensor and user.args == (exp, kept) and not user.kwargs:
                members = dict.fromkeys((exp, total, kept, user))
                return Normalisation(user, argument, dim, tuple(members))
            if user.target is aten.reciprocal.default:
                for last in user.users:
                    if last.target is aten.mul.Tensor and set(last.args) == {exp, user}:
                        members = dict.fromkeys((exp, total, kept, user, last))
                        return Normalisation(last, argument, dim, tuple(members))
    return None


def _one(dims: Any, rank: int) -> int | None:
    """The only dimension of a list, from the right."""
    values = list(dims) if isinstance(dims, (list, tuple)) else [dims]
    return values[0] % rank - rank if len(values) == 1 and isinstance(values[0], int) else None


def _kept_dim(node: torch.fx.Node, rank: int) -> int | None:
    """The dimension `node` reduces and keeps at size 1; None when it reduces several or drops it."""
    keep = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
    dims = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    return _one(dims, rank) if keep and dims is not None else None


def _unsqueezed(total: torch.fx.Node, rank: int) -> tuple[torch.fx.Node | None, int | None]:
    """A reduction that dropped its dimension and the unsqueeze that puts it back."""
    dim = _one(total.args[1], rank) if len(total.args) > 1 else None
    for user in total.users:
        if user.target is aten.unsqueeze.default and dim is not None:
            back = user.args[1]
            assert isinstance(back, int)
            if back % rank - rank == dim:
                return user, dim
    return None, None


def _without_max(found: Normalisation) -> Normalisation:
    """`found` of the scores before their maximum was taken off, which changes no softmax."""
    members = list(found.members)
    scores = found.scores
    while True:
        shifted = _minus_max(scores, found.dim)
        if shifted is None:
            break
        members = [*shifted[1], scores, *members]
        scores = shifted[0]
    return Normalisation(found.out, scores, found.dim, tuple(dict.fromkeys(members)), found.zero_dead)


def _first(node: torch.fx.Node) -> Any:
    """The first argument of `node`; torch's own type of arguments says nothing."""
    return node.args[0]


def _minus_max(node: torch.fx.Node, dim: int) -> tuple[torch.fx.Node, list[torch.fx.Node]] | None:
    """(x, nodes of the maximum) of `x - max(x, dim)`; None for anything else."""
    if node.target is not aten.sub.Tensor or node.kwargs:
        return None
    args: tuple[Any, ...] = node.args
    scores, top = args
    if not isinstance(scores, torch.fx.Node) or not isinstance(top, torch.fx.Node):
        return None
    members: list[torch.fx.Node] = []
    while top.target in SAME:
        members.append(top)
        top = _first(top)
    if getattr(top.target, "__name__", "") == "getitem" and top.args[1] == 0:
        members.append(top)
        top = _first(top)
    if top.target not in (aten.amax.default, aten.max.dim) or top.args[0] is not scores:
        return None
    if _kept_dim(top, scores.meta["val"].dim()) != dim:
        return None
    return scores, [top, *members]
