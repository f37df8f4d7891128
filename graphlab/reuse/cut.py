"""Where a graph is cut so that a step can go on from features of an earlier one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch

from graphlab.errors import UnknownNameError
from graphlab.hoisting.boundary import needed
from graphlab.hoisting.levels import Level, computes, is_assertion, is_random, is_size
from graphlab.names import nearest
from graphlab.rewriting.draft import Draft

Node = torch.fx.Node


@dataclass(frozen=True, slots=True)
class Cut:
    """`kept` values stand for all features; `whole` and `shallow` are what computes `results` without and with them."""

    results: tuple[Node, ...]
    kept: tuple[Node, ...]
    whole: Mapping[Node, None]
    shallow: Mapping[Node, None]


@dataclass(frozen=True, slots=True)
class Uncut:
    """Why no feature can be reused."""

    reason: str


def find_cut(draft: Draft, features: Collection[str], level: Mapping[Node, Level]) -> Cut | Uncut:
    """The cut behind the values `features` of `draft`; Uncut where nothing would be saved, or nothing left to compute.

    UnknownNameError for a feature that is no value of the program.
    """
    known = draft.program.graph.by_name
    unknown = next((name for name in sorted(features) if name not in known), None)
    if unknown is not None:
        raise UnknownNameError(f"{draft.program.name} has no value {unknown!r}", hint=nearest(unknown, known) or None)
    old = stale(draft, features, level)
    output = draft.graph.output_node()
    results = tuple(node for node in output.all_input_nodes if isinstance(node.meta.get("val"), torch.Tensor))
    if not old:
        return Uncut("none of its values that step is a feature to reuse")
    if any(node in old for node in results):
        return Uncut("a result depends on the step through these features alone: it would stay what it was")
    kept = tuple(node for node in old if any(_reads(user) and user not in old for user in node.users))
    if not all(isinstance(node.meta.get("val"), torch.Tensor) for node in kept):
        return Uncut("what is to be reused is no tensor")
    whole, shallow = needed((*results, *kept), (), level), needed(results, kept, level)
    if not any(computes(node) for node in whole if node not in shallow and node not in kept):
        return Uncut("nothing computes these features and nothing else: there is nothing to save")
    return Cut(results, kept, whole, shallow)


def stale(draft: Draft, features: Collection[str], level: Mapping[Node, Level]) -> dict[Node, None]:
    """`features`, and what depends on the step through them alone, in order.

    What a timestep says is not asked for: a feature of an earlier step has seen an earlier timestep.
    """
    found: dict[Node, None] = {}
    for node in draft.calls():
        if level[node] is not Level.STEP or is_size(node) or is_assertion(node) or is_random(node):
            continue
        stepping = [arg for arg in node.all_input_nodes if level[arg] is Level.STEP and not is_size(arg)]
        if node.name in features or (stepping and all(arg in found for arg in stepping)):
            found[node] = None
    return found


def _reads(user: Node) -> bool:
    """Whether `user` reads more than a size."""
    return not is_size(user) and not is_assertion(user)
