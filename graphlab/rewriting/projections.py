"""Linear layers over one value that become query, key or value of one attention, and one layer in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch

from graphlab.ops.rule import rule_for
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import Known, relayout

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten

_ATTENTIONS = {aten.scaled_dot_product_attention.default}
_SOFTMAX = {aten.softmax.int, aten._softmax.default}
_PRODUCTS = {aten.matmul.default, aten.bmm.default, aten.baddbmm.default, aten.einsum.default}
_PASSED = ("movement", "normalization", "elementwise")
"""Categories of operators between a projection and its attention: views, norms, rotary embedding, scales."""
_MOST = 96
"""Nodes looked at behind one operand, and between softmax and the products around it."""


@dataclass(frozen=True, slots=True)
class Projected:
    """Linear layers over `source` that reach one attention: {layer: roles among "q", "k", "v"}, in execution order."""

    source: Node
    layers: Mapping[Node, frozenset[str]]

    @property
    def roles(self) -> frozenset[str]:
        """The roles of all layers."""
        return frozenset().union(*self.layers.values())


def projected(draft: Draft) -> Iterator[Projected]:
    """The linear layers of each attention by the value they read, those of one attention in execution order."""
    for operands in _attentions(draft):
        reached: dict[Node, set[str]] = {}
        for role, operand in operands.items():
            for layer in _behind(operand):
                reached.setdefault(layer, set()).add(role)
        by_source: dict[Node, dict[Node, frozenset[str]]] = {}
        for layer in sorted(reached):
            source = layer.args[0]
            assert isinstance(source, Node)
            by_source.setdefault(source, {})[layer] = frozenset(reached[layer])
        for source, layers in by_source.items():
            yield Projected(source, layers)


def _attentions(draft: Draft) -> Iterator[dict[str, Node]]:
    """{"q": node, "k": node, "v": node} of every attention, fused or spelled out around a softmax."""
    for node in draft.calls(*_ATTENTIONS, *_SOFTMAX):
        if node.target in _ATTENTIONS:
            query, key, value = node.args[:3]
            yield {"q": query, "k": key, "v": value}  # type: ignore[dict-item]  # tensors by the operator's schema
            continue
        scores, values = _score_product(node), _value_product(node)
        if scores is not None and values is not None:
            yield {"q": scores[0], "k": scores[1], "v": values}


def _factors(product: Node) -> list[Node]:
    """The two tensors that `product` multiplies."""
    args = product.args[1] if product.target is aten.einsum.default else product.args
    nodes = [arg for arg in args if isinstance(arg, Node)] if isinstance(args, (list, tuple)) else []
    return nodes[-2:] if len(nodes) >= 2 else []


def _score_product(softmax: Node) -> tuple[Node, Node] | None:
    """(query, key) of the product whose result `softmax` normalises, past scales, masks and casts."""
    node = softmax.args[0]
    for _ in range(_MOST):
        if not isinstance(node, Node) or node.op != "call_function":
            return None
        if node.target in _PRODUCTS:
            factors = _factors(node)
            return (factors[0], factors[1]) if factors else None
        if not _passed(node) or not node.args:
            return None
        node = node.args[0]
    return None


def _value_product(softmax: Node) -> Node | None:
    """The value that the normalised scores weight, past casts, dropout and views."""
    node = softmax
    for _ in range(_MOST):
        users = [user for user in node.users if user.target in _PRODUCTS or _passed(user)]
        if len(users) != 1:
            return None
        if users[0].target in _PRODUCTS:
            others = [factor for factor in _factors(users[0]) if factor is not node]
            return others[0] if len(others) == 1 else None
        node = users[0]
    return None


def _passed(node: Node) -> bool:
    rule = rule_for(str(node.target)) if isinstance(node.target, torch._ops.OpOverload) else None
    return (rule is not None and rule.category in _PASSED) or getattr(node.target, "__name__", "") == "getitem"


def _behind(operand: Node) -> list[Node]:
    """The linear layers whose results reach `operand` through views, norms and elementwise operators."""
    found: list[Node] = []
    seen, pending = {operand}, [operand]
    while pending and len(seen) < _MOST:
        node = pending.pop()
        if node.target is aten.linear.default:
            found.append(node)
        elif node.op == "call_function" and _passed(node):
            fresh = [source for source in node.all_input_nodes if source not in seen]
            seen.update(fresh)
            pending.extend(fresh)
    return found


def fuse(draft: Draft, group: Projected, why: str, known: Known) -> None:
    """Makes one linear layer of those of `group`, read in parts, or says why they stay; `known` as in `relayout`."""
    layers = [layer for layer in group.layers if not layer._erased]
    if len(layers) < len(group.layers):
        return  # made one for another attention
    if len(layers) == 1 and len(group.roles) > 1:
        return  # it is one layer already
    refused = _why_not(draft, group, layers) or _fuse(draft, group.source, layers, why, known)
    if refused:
        draft.skip(layers[0], refused)


def _why_not(draft: Draft, group: Projected, layers: Sequence[Node]) -> str:
    """Why `layers`, linear over one value, cannot be one layer; "" when they can."""
    if len(layers) < 2:
        return "it is the only projection of its input for this attention"
    if len(set(group.layers.values())) < 2:
        return "the layers are not told apart as query, key and value"
    given = [arguments(layer) for layer in layers]
    parts = [part for call in given for part in (call["weight"], call["bias"]) if part is not None]
    if any(not isinstance(part, Node) or draft.fixed_key(part) is None for part in parts):
        return "a weight is computed or written, not only stored"
    if any(len(part.users) > 1 for part in parts):
        return "a weight is used elsewhere"
    if len({part.meta["val"].dtype for part in parts}) > 1:
        return "the weights differ in dtype"
    if not parts[0].meta["val"].dtype.is_floating_point or parts[0].meta["val"].element_size() < 2:
        return "the weights are quantised"
    if any(_has_adapter(layer) for layer in layers):
        return "the result of another linear layer is added (an adapter)"
    return ""


def _has_adapter(layer: Node) -> bool:
    """Whether `layer` is added to a linear layer of the result of another: a low-rank adapter."""
    for user in layer.users:
        if user.target is not aten.add.Tensor:
            continue
        for other in user.all_input_nodes:
            while other is not layer and other.op == "call_function" and _passed(other) and other.all_input_nodes:
                other = other.all_input_nodes[0]
            if other is not layer and other.target is aten.linear.default:
                return True
    return False


def _fuse(draft: Draft, source: Node, layers: Sequence[Node], why: str, known: Known) -> str:
    """Makes one linear layer of `layers`, read in parts; a str is why their readers do not take parts, "" when done."""
    given = [arguments(layer) for layer in layers]
    widths = [call["weight"].meta["val"].shape[0] for call in given]
    whole = draft.call(aten.linear.default, source, *_weights(draft, given, widths), at=layers[0])
    parts = draft.call(aten.split_with_sizes.default, whole, widths, -1, at=layers[0])
    pairs = {layer: draft.item(parts, index, at=layers[0]) for index, layer in enumerate(layers)}
    follows = relayout(draft.mode, {layer: part.meta["val"] for layer, part in pairs.items()}, known)
    if isinstance(follows, str):
        for part in pairs.values():
            draft.erase_dead(part)
        return follows
    draft.replace_all(pairs, why)
    follows.write()
    return ""


def _weights(draft: Draft, given: Sequence[Mapping[str, Node | None]], widths: Sequence[int]) -> list[Node]:
    """The weight, and the bias if any has one, of all layers: one below the other."""
    keys = [[draft.weight_key(part) if (part := call[name]) else None for call in given] for name in ("weight", "bias")]
    weights, biases = ([key or "" for key in column] for column in keys)
    stem = "_".join(key.split(".")[-2] if "." in key else key for key in weights)
    prefix = weights[0].rsplit(".", 2)[0] + "." if weights[0].count(".") > 1 else ""

    def weight(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([tensors[key] for key in weights])

    def bias(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        like = tensors[next(key for key in biases if key)]
        pairs = zip(biases, widths, strict=True)
        return torch.cat([tensors[key] if key else like.new_zeros(width) for key, width in pairs])

    made = [draft.add_weight(draft.free_key(f"{prefix}{stem}.weight"), weights, weight)]
    if any(biases):
        made.append(draft.add_weight(draft.free_key(f"{prefix}{stem}.bias"), [key for key in biases if key], bias))
    return made
