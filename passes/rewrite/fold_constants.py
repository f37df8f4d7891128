"""fold-constants: what weights and constants alone decide, computed once."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.ops.rule import rule_for
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import in_results, is_contiguous
from graphlab.rewriting.options import option
from graphlab.rewriting.purity import impurity
from graphlab.rewriting.recipe import recipe
from graphlab.rewriting.rewrite import Rewrite

Node = torch.fx.Node

_FILLS = {"full", "zeros", "ones", "scalar_tensor", "full_like", "zeros_like", "ones_like"} | {
    *("new_full", "new_zeros", "new_ones")
}
"""Operators that write one number everywhere: reading the result back costs what they do."""
_MIB = 1 << 20
_RESULT = "a result lies in it: callers would be handed the memory of a weight"


@dataclass(frozen=True)
class FoldConstants(Rewrite):
    """Computes values that depend on weights, constants or nothing once, and keeps them as weights.

    Before: `a = mul(p_scale, 2); b = mul(x, a)`. After: `b = mul(x, b_folded_mul)`, with a new weight.

    A value with weights behind it becomes a buffer (a parameter where its first weight is one), any other a constant.
    Views of a weight stay views, and so do tensors filled with one number. What would add more than `limit_mb` to the
    program, less the weights that nothing else reads, stays, as does what depends on weights without values, on
    sizes of inputs or on random numbers, and what is a result or holds one: its caller may write into it.
    """

    name: ClassVar[str] = "fold-constants"
    limit_mb: float = option(8.0, "MiB that one folded value may add to the program", minimum=0.0)

    def apply(self, draft: Draft) -> None:
        """Finds the values that only constants decide, and folds those that something else reads, last first."""
        constant, results = _constants(draft), in_results(draft.graph)
        gone: set[Node] = set()
        for node in reversed(list(draft.calls())):
            if node not in constant or node._erased:
                continue
            if all(user in gone for user in node.users):
                gone.add(node)
            elif _works(node):
                why = _RESULT if node in results else self._why_not(draft, node, gone)
                if why:
                    draft.skip(node, why)
                else:
                    gone.add(node)
                    _fold(draft, node)

    def _why_not(self, draft: Draft, node: Node, gone: set[Node]) -> str:
        """Why `node` stays a call; "" when it can be folded."""
        calls, weights = _cone(draft, node)
        tensors = {weight: draft.weight(weight) for weight in weights}
        made = node.meta["val"]
        if made.device.type == "meta" or any(t is None or t.is_meta or _is_fake(t) for t in tensors.values()):
            return "the weights have no values: they are on the meta device"
        inside = gone | set(calls)
        freed = [t for weight, t in tensors.items() if t is not None and all(user in inside for user in weight.users)]
        grown = made.numel() * made.element_size() - sum(t.numel() * t.element_size() for t in freed)
        if grown > self.limit_mb * _MIB:
            return f"it would add {grown / _MIB:.1f} MiB, the limit is {self.limit_mb:g}"
        return ""


def _is_fake(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, torch._subclasses.FakeTensor)


def _constants(draft: Draft) -> set[Node]:
    """Values that inputs do not decide: weights nothing writes into and pure calls of nothing else."""
    found: set[Node] = set()
    for node in draft.graph.nodes:
        if node.op == "placeholder":
            constant = draft.fixed_key(node) is not None
        else:
            constant = node.op == "call_function" and all(n in found for n in node.all_input_nodes)
            constant = constant and not impurity(node) and _is_value(node)
        if constant:
            found.add(node)
    return found


def _is_value(node: Node) -> bool:
    """Whether `node` gives a tensor of fixed size, or several."""
    value = node.meta.get("val")
    tensors = value if isinstance(value, (list, tuple)) else [value]
    return all(isinstance(t, torch.Tensor) and all(isinstance(size, int) for size in t.shape) for t in tensors)


def _works(node: Node) -> bool:
    """Whether `node` gives one tensor and does something a stored value saves: no view, no fill."""
    if not isinstance(node.meta["val"], torch.Tensor):
        return False
    if node.target is operator.getitem:
        rule = rule_for(str(getattr(node.args[0], "target", "")))
        return rule is None or rule.moves == "compute"
    rule = rule_for(str(node.target))
    name = getattr(node.target, "__name__", "").partition(".")[0]
    if rule is None or name in _FILLS:
        return name not in _FILLS
    source = node.args[0].meta["val"] if node.args and isinstance(node.args[0], Node) else None
    if rule.moves == "reshape":
        return source is not None and not is_contiguous(source)
    if rule.moves == "cast":
        return source is not None and source.dtype != node.meta["val"].dtype
    return rule.moves in ("compute", "contiguous")


def _cone(draft: Draft, node: Node) -> tuple[list[Node], list[Node]]:
    """(calls behind `node` in execution order, itself last; weights they read, in order)."""
    seen, pending = {node}, [node]
    while pending:
        fresh = [source for source in pending.pop().all_input_nodes if source not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    ordered = sorted(seen)
    return [n for n in ordered if n.op == "call_function"], [n for n in ordered if n.op == "placeholder"]


def _fold(draft: Draft, node: Node) -> None:
    calls, weights = _cone(draft, node)
    keys = {weight: key for weight in weights if (key := draft.weight_key(weight)) is not None}
    make, key = recipe(calls, keys), draft.free_key(f"folded_{node.name}")
    new = draft.add_weight(key, list(keys.values()), make) if keys else draft.add_constant(key, make)
    draft.replace(node, new, f"{', '.join(keys.values()) or 'nothing but numbers'} decides it: {len(calls)} calls")
