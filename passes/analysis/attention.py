"""attention: every attention of a graph, fused or spelled out, and what it attends over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.facts import AttentionSite, AxisFacts
from graphlab.flow import from_weights
from graphlab.graph import Graph, Node, Ref
from graphlab.ops import rule_for
from graphlab.ops.bind import bind
from graphlab.passes.analysis import attention_kind, attention_mask, attention_spelled
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class AttentionAnalysis(Analysis[tuple[AttentionSite, ...]]):
    """Attentions in execution order, with kind (self, cross, joint), axis, heads and causality.

    Fused ones are the `scaled_dot_product_attention` family; spelled-out ones are found from the softmax:
    back to the product of two activations that made the scores, forward to the product that uses them.
    """

    name: ClassVar[str] = "attention"
    sized: ClassVar[bool] = False

    def run(self, given: AnalysisInput) -> tuple[AttentionSite, ...]:
        """The sites of `given.example`, in execution order."""
        graph, facts = given.example, given.result("axes")
        weights = from_weights(graph)
        sites = []
        for node in graph.calls:
            rule = rule_for(node.target)
            if rule is None:
                continue
            if rule.axes == "attention":
                sites.append(_fused(graph, node, facts, weights, given.packed))
            elif rule.category == "normalization" and "softmax" in node.target and "log" not in node.target:
                found = attention_spelled.match(graph, node, weights)
                if found is not None:
                    sites.append(_spelled(graph, found, facts, weights, given.packed))
        return tuple(sites)


def _fused(
    graph: Graph, node: Node, facts: AxisFacts, weights: frozenset[str], packed: Mapping[str, tuple[str, ...]]
) -> AttentionSite:
    rule = rule_for(node.target)
    assert rule is not None
    bound = bind(rule, node)
    query, key, value = (ref.name for ref in node.args[:3])
    mask = next((bound[n] for n in ("attn_mask", "attn_bias", "bias") if isinstance(bound.get(n), Ref)), None)
    question = attention_kind.Question(
        graph=graph,
        weights=weights,
        facts=facts,
        packed=packed,
        query=query,
        key=key,
        lead=facts.axes[query][0][:-2],
        q_tokens=facts.axes[query][0][-2],
        kv_tokens=facts.axes[key][0][-2],
    )
    return AttentionSite(
        node=node.name,
        members=(node.name,),
        contractions=(node.name,),
        score_members=(),
        query=query,
        key=key,
        value=value,
        mask=mask.name if mask is not None else None,
        fused=True,
        kind=question.kind(),
        axis=question.axis(),
        causal=_fused_causal(graph, bool(bound.get("is_causal", False)), mask.name if mask is not None else None),
        heads=question.heads(),
        q_dim=-2,
        k_dim=-2,
    )


def _spelled(
    graph: Graph,
    found: attention_spelled.Match,
    facts: AxisFacts,
    weights: frozenset[str],
    packed: Mapping[str, tuple[str, ...]],
) -> AttentionSite:
    axes = facts.axes[found.softmax][0]
    rank = len(axes)
    lead = tuple(axis for i, axis in enumerate(axes) if i not in (found.q_dim % rank, found.k_dim % rank))
    question = attention_kind.Question(
        graph=graph,
        weights=weights,
        facts=facts,
        packed=packed,
        query=found.query,
        key=found.key,
        lead=lead,
        q_tokens=axes[found.q_dim],
        kv_tokens=axes[found.k_dim],
    )
    return AttentionSite(
        node=found.softmax,
        members=found.members,
        contractions=(found.scores, found.output),
        score_members=found.score_members,
        query=found.query,
        key=found.key,
        value=found.value,
        mask=found.mask,
        fused=False,
        kind=question.kind(),
        axis=question.axis(),
        causal=_spelled_causal(graph, found),
        heads=question.heads(),
        q_dim=found.q_dim,
        k_dim=found.k_dim,
    )


def _spelled_causal(graph: Graph, found: attention_spelled.Match) -> bool | None:
    """What lies between the score product and the softmax, computed on scores of zero."""
    softmax = graph.by_name[found.softmax]
    if found.mask is None:
        return False
    if (found.q_dim, found.k_dim) != (-2, -1):
        return None
    causal: bool | None = attention_mask.is_causal(graph, softmax.refs[0], scores=found.scores)
    return causal


def _fused_causal(graph: Graph, flag: bool, mask: str | None) -> bool | None:
    """The flag where it is set; what the mask does otherwise; False without a mask or with one for all queries."""
    if flag or mask is None or _same_for_every_query(graph, mask):
        return flag
    causal: bool | None = attention_mask.is_causal(graph, mask)
    return causal


def _same_for_every_query(graph: Graph, mask: str) -> bool:
    spec = graph.by_name[mask].out
    return len(spec.shape) < 2 or spec.shape[-2] == 1 or spec.stride[-2] == 0
