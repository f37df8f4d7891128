"""eliminate-common: values that are computed twice."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.ops.rule import rule_for
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import in_results, is_contiguous, place_of
from graphlab.rewriting.purity import impurity
from graphlab.rewriting.rewrite import Rewrite

Node = torch.fx.Node


@dataclass(frozen=True)
class EliminateCommon(Rewrite):
    """Computes what has the same operator and the same arguments once.

    Before: `a = silu(t); b = linear(a, w); c = silu(t); return b * c`. After: `a = silu(t); b = linear(a, w);
    return b * a`.

    Weights that are one memory under two names count as the same argument, sizes of different tensors that are one
    symbol as the same size. Operators that draw random numbers, write, or come from a library that does not say so
    stay, and two results with memory of their own stay two.
    """

    name: ClassVar[str] = "eliminate-common"

    def apply(self, draft: Draft) -> None:
        """Numbers values in execution order: equal calls of equal numbers are equal."""
        numbers = _numbered_inputs(draft)
        known: dict[Hashable, Node] = {}
        results = in_results(draft.graph)
        for index, node in enumerate(draft.calls()):
            first = known.setdefault(_key(node, numbers), node)
            numbers[node] = index
            if first is not node and _may_go(draft, node, first, results):
                if node in results:
                    results.add(first)
                draft.replace(node, first, f"the same as {first.name}")


def _numbered_inputs(draft: Draft) -> dict[Node, int]:
    """{placeholder or attribute: number}, the same for weights that are one memory."""
    numbers: dict[Node, int] = {}
    first: dict[Hashable, int] = {}
    for index, node in enumerate(draft.graph.nodes):
        if node.op == "call_function":
            continue
        tensor = draft.weight(node)
        place: Hashable = node
        if tensor is not None:
            place = place_of(tensor)
        elif node.op == "get_attr":
            place = str(node.target)
        numbers[node] = first.setdefault(place, -index - 1)
    return numbers


def _key(node: Node, numbers: Mapping[Node, int]) -> Hashable:
    """What decides the value of `node`: for a size its formula, else operator and arguments."""
    value = node.meta.get("val")
    if isinstance(value, torch.SymInt):
        return ("size", value.node.expr)
    return (node.target, _frozen(node.args, numbers), _frozen(node.kwargs, numbers))


def _frozen(value: Any, numbers: Mapping[Node, int]) -> Hashable:
    if isinstance(value, Node):
        size = value.meta.get("val")
        return ("size", size.node.expr) if isinstance(size, torch.SymInt) else ("value", numbers[value])
    if isinstance(value, Mapping):
        return tuple((key, _frozen(value[key], numbers)) for key in sorted(value))
    if isinstance(value, slice):
        return ("slice", _frozen((value.start, value.stop, value.step), numbers))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_frozen(item, numbers) for item in value)
    return (type(value), repr(value))  # 1, 1.0 and True are equal numbers and different arguments; so are 0.0 and -0.0


def _shares(node: Node) -> bool:
    """Whether the memory of `node` is that of its argument for certain: a `reshape` or a cast may be a copy."""
    source = node.args[0] if node.args else None
    maker = source if node.target is operator.getitem else node
    rule = rule_for(str(maker.target)) if isinstance(maker, Node) else None
    if rule is None or not isinstance(source, Node):
        return False
    return rule.moves == "view" or (rule.moves == "reshape" and is_contiguous(source.meta["val"]))


def _may_go(draft: Draft, node: Node, first: Node, results: set[Node]) -> bool:
    """Whether `node` may be read from `first`; says why not."""
    why = impurity(node)
    own = node in results and first in results and not isinstance(node.meta.get("val"), torch.SymInt)
    if not why and own and not _shares(node):
        why = "both are results with memory of their own"
    if not why and node.meta.get("val") is None:
        return False
    if why and why != "it is an assertion":
        draft.skip(node, f"the same call as {first.name}, but {why}")
    return not why
