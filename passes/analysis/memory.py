"""memory: activations alive at every call, and the peak, with materialised, with fused and with attention as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.costing import arguments, result_spec
from graphlab.facts import AttentionTraffic, MemoryFacts
from graphlab.graph import Graph, Node
from graphlab.ops import rule_for
from graphlab.ops.traffic import aliases
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class MemoryAnalysis(Analysis[Mapping[str, MemoryFacts]]):
    """{"materialized", "fused" or "spelled": MemoryFacts}: bytes of activations in execution order.

    An activation lives from the call that makes it to its last reader, views included; the caller's inputs
    and the results live throughout. Weights are not activations. A materialised attention holds its scores
    and its probabilities at once; a fused one holds neither; "spelled" is each as the graph has it. Allocator
    rounding, workspace and in-place reuse are not modelled.
    """

    name: ClassVar[str] = "memory"

    def run(self, given: AnalysisInput) -> Mapping[str, MemoryFacts]:
        """Liveness at the sizes of `given.graph`."""
        traffic: Mapping[str, AttentionTraffic] = given.result("fused-bytes")
        sites = given.result("attention")
        hidden = {m for site in sites if not site.fused for m in site.score_members}
        extra = {site.node: 2 * traffic[site.node].score_bytes for site in sites if site.fused}
        roots = _roots(given.graph)
        return {
            "materialized": _liveness(given.graph, roots, frozenset(), extra),
            "fused": _liveness(given.graph, roots, frozenset(hidden), {}),
            "spelled": _liveness(given.graph, roots, frozenset(), {}),
        }


def _roots(graph: Graph) -> dict[str, str]:
    """{node: the node whose storage it shares}; itself where it has its own."""
    outputs = {node.name: node.outputs for node in graph.nodes}
    roots: dict[str, str] = {}
    for node in graph.nodes:
        rule = rule_for(node.target) if node.kind == "call" else None
        shared = False
        if rule is not None and node.refs:
            args, kwargs = arguments(node, outputs)
            shared = aliases(rule, args, dict(kwargs), result_spec(node))
        roots[node.name] = roots[node.refs[0]] if shared else node.name
    return roots


def _liveness(graph: Graph, roots: Mapping[str, str], hidden: frozenset[str], extra: Mapping[str, int]) -> MemoryFacts:
    last: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in (node.name, *node.refs):
            last[roots[name]] = index
    end = len(graph.nodes)
    kept = {roots[name] for name in graph.results} | {node.name for node in graph.inputs}
    last.update(dict.fromkeys(kept, end))
    expiring: dict[int, list[str]] = {}
    for root, index in last.items():
        expiring.setdefault(index, []).append(root)
    sizes = {node.name: _size(node, roots, hidden) for node in graph.nodes}
    alive = sum(sizes[node.name] for node in graph.inputs)
    peak, peak_node = alive, graph.nodes[0].name if graph.nodes else ""
    living = {node.name: sizes[node.name] for node in graph.inputs}
    at_peak = dict(living)
    trace: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        if node.kind == "call":
            alive += sizes[node.name]
            if sizes[node.name]:
                living[node.name] = sizes[node.name]
            now = alive + extra.get(node.name, 0)
            trace[node.name] = now
            if now > peak:
                peak, peak_node = now, node.name
                at_peak = {**living, node.name: sizes[node.name] + extra.get(node.name, 0)}
        for root in expiring.get(index, ()):
            alive -= sizes[root]
            living.pop(root, None)
    largest = sorted(((name, size) for name, size in at_peak.items() if size), key=lambda item: -item[1])
    return MemoryFacts(peak, peak_node, trace, dict(largest))


def _size(node: Node, roots: Mapping[str, str], hidden: frozenset[str]) -> int:
    """Bytes of storage `node` brings to life: none for a weight, a view, or a score a fused kernel keeps."""
    if node.kind not in ("call", "input") or roots[node.name] != node.name or node.name in hidden:
        return 0
    return sum(spec.nbytes for spec in node.outputs if spec is not None)
