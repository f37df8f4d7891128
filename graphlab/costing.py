"""Costs of calls and of attentions, at integer sizes or as expressions: the op table applied to a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphlab.facts import AttentionSite, AttentionTraffic, NodeCost
from graphlab.flow import from_weights
from graphlab.graph import Dim, Graph, Node, TensorSpec
from graphlab.ops import OpRule, rule_for
from graphlab.ops.rule import resolve, tensors
from graphlab.ops.traffic import traffic


def node_costs(graph: Graph, integer: Mapping[str, NodeCost] | None = None) -> dict[str, NodeCost]:
    """{call: NodeCost} of `graph`; equal calls on equal shapes are worked out once.

    With sizes that are expressions, `integer` gives the costs at integer sizes: whether a reshape copies is
    told from strides, which only integers can tell.
    """
    weights = from_weights(graph)
    outputs = {node.name: node.outputs for node in graph.nodes}
    known: dict[Any, NodeCost] = {}
    costs: dict[str, NodeCost] = {}
    for node in graph.calls:
        args, kwargs = arguments(node, outputs)
        weighted = any(ref in weights for ref in node.refs)
        still = integer is not None and integer[node.name].bytes == 0
        repeats = tuple(node.refs.index(ref) for ref in node.refs)
        key = (node.target, _hashable(args), _hashable(kwargs), node.outputs, weighted, still, repeats)
        if key not in known:
            known[key] = _cost(node, args, dict(kwargs), weighted, symbolic=integer is not None, still=still)
        costs[node.name] = known[key]
    return costs


def _hashable(value: Any) -> Any:
    """`value` with 1 and 1.0 and True kept apart: they are equal as keys and differ as arguments."""
    if isinstance(value, tuple):
        return tuple(_hashable(item) for item in value)
    return (type(value), value) if isinstance(value, (bool, float)) else value


def arguments(node: Node, outputs: Mapping[str, tuple[TensorSpec | None, ...]]) -> tuple[Any, Any]:
    """(args, kwargs items) of `node` with every reference replaced by its TensorSpec, or a tuple of them."""

    def spec(name: str) -> Any:
        specs = outputs[name]
        return specs[0] if len(specs) == 1 else specs

    return resolve(node.args, spec), tuple((key, resolve(value, spec)) for key, value in node.kwargs)


def result_spec(node: Node) -> Any:
    """What a rule gets as `out`: the TensorSpec of a single output, the tuple of several."""
    return node.outputs[0] if len(node.outputs) == 1 else node.outputs


def _cost(
    node: Node, args: tuple[Any, ...], kwargs: dict[str, Any], weighted: bool, *, symbolic: bool, still: bool
) -> NodeCost:
    rule, out = rule_for(node.target), result_spec(node)
    if rule is None:
        read, written = _all_bytes(node, args, kwargs)
        return NodeCost("other", None, None, read, written)
    work = rule.body(*args, out=out, **kwargs)
    kind = _category(rule, weighted)
    if symbolic and still:
        return NodeCost(kind, work.flops, work.pointwise, 0, 0)
    if symbolic and rule.moves in ("reshape", "contiguous", "cast"):
        first = tensors([*args, *kwargs.values()])[0]
        return NodeCost(kind, work.flops, work.pointwise, first.distinct_bytes, node.out.nbytes)
    read, written = traffic(rule, args, kwargs, out, node.refs)
    return NodeCost(kind, work.flops, work.pointwise, read, written)


def _all_bytes(node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Dim, Dim]:
    """Every tensor an op without a rule is given, once, and every tensor it makes."""
    given = dict(zip(node.refs, tensors([*args, *kwargs.values()]), strict=False))
    read: Dim = 0
    for spec in given.values():
        read = read + spec.distinct_bytes
    written: Dim = 0
    for out in node.outputs:
        written = written + (out.nbytes if out is not None else 0)
    return read, written


def _category(rule: OpRule, weighted: bool) -> str:
    """A product with a weight is `linear` whatever its spelling: decomposed graphs write linear as addmm."""
    return "linear" if rule.category == "matmul" and weighted else rule.category


def site_traffic(graph: Graph, site: AttentionSite, costs: Mapping[str, NodeCost]) -> AttentionTraffic:
    """Bytes of one attention of `graph`, materialised and fused.

    Fused: queries, keys, values and mask read once, the output written once; scores never leave the chip.
    Materialised, for an attention that is spelled out: what its calls move. For a fused op: the same plus
    the score matrix written by the first product, read and written by the softmax, read by the second
    product, and read and written once more where a mask is added.
    """
    nbytes = score_spec(graph, site).nbytes
    if site.fused:
        fused = costs[site.node].bytes
        passes = 6 if site.mask is not None else 4
        return AttentionTraffic(fused + passes * nbytes, fused, nbytes)
    spelled: Dim = 0
    for member in site.members:
        spelled = spelled + costs[member].bytes
    operands = [site.query, site.key, site.value, *([site.mask] if site.mask else [])]
    fused = graph.by_name[site.contractions[-1]].out.nbytes
    for name in dict.fromkeys(operands):
        fused = fused + graph.by_name[name].out.distinct_bytes
    return AttentionTraffic(spelled, fused, nbytes)


def score_spec(graph: Graph, site: AttentionSite) -> TensorSpec:
    """The score matrix of `site` (leading axes, q, k) in the dtype it has, or would have."""
    if not site.fused:
        return graph.by_name[site.node].out
    query, key = graph.by_name[site.query].out, graph.by_name[site.key].out
    shape = (*query.shape[:-1], key.shape[-2])
    return TensorSpec(shape, (1,) * len(shape), query.dtype)


def total_bytes(graph: Graph, sites: tuple[AttentionSite, ...], costs: Mapping[str, NodeCost]) -> tuple[Dim, Dim]:
    """(bytes of all calls with materialised attention, with fused attention)."""
    members = {member for site in sites for member in site.members}
    materialized: Dim = 0
    for node in graph.calls:
        materialized = materialized + (0 if node.name in members else costs[node.name].bytes)
    fused = materialized
    for site in sites:
        moved = site_traffic(graph, site, costs)
        materialized, fused = materialized + moved.materialized, fused + moved.fused
    return materialized, fused
