"""Questions about data flow that several analyses ask: what a value is projected from, what is a weight."""

from __future__ import annotations

from collections.abc import Callable

from graphlab.graph import Graph, Node
from graphlab.ops import rule_for

WEIGHT_KINDS = ("parameter", "buffer", "constant", "tied")


def category(node: Node) -> str:
    """The operator category of `node`; "other" for an op without a rule."""
    rule = rule_for(node.target)
    return rule.category if rule is not None else "other"


def from_weights(graph: Graph) -> frozenset[str]:
    """Names of values that depend on weights alone (a weight, its transpose, its cast)."""
    names: set[str] = set()
    for node in graph.nodes:
        if node.kind in WEIGHT_KINDS or (node.kind == "call" and node.refs and all(r in names for r in node.refs)):
            names.add(node.name)
    return frozenset(names)


def is_contraction(node: Node) -> bool:
    """Whether `node` is a matrix product or a convolution (not a fused attention)."""
    return node.kind == "call" and category(node) in ("linear", "matmul", "convolution")


def is_projection(node: Node, weights: frozenset[str]) -> bool:
    """Whether `node` multiplies an activation with a weight: linear, convolution, or mm with a weight operand."""
    return is_contraction(node) and any(ref in weights for ref in node.refs)


def is_product(node: Node, weights: frozenset[str]) -> bool:
    """Whether `node` multiplies two activations: what attention is made of."""
    pair = node.kind == "call" and category(node) == "matmul" and len(node.refs) >= 2
    return pair and not any(ref in weights for ref in node.refs)


def sources(graph: Graph, name: str, stop: Callable[[Node], bool]) -> frozenset[str]:
    """The nearest values behind `name` at which `stop` holds, or that are inputs; weights are not followed."""
    found: set[str] = set()
    seen: set[str] = set()
    pending = [name]
    while pending:
        node = graph.by_name[pending.pop()]
        if node.name in seen:
            continue
        seen.add(node.name)
        if node.kind == "input" or stop(node):
            found.add(node.name)
        else:
            pending.extend(node.refs)
    return frozenset(found)


def written_into(graph: Graph, node: Node) -> str | None:
    """The tensor whose memory the in-place call `node` writes: behind any views; None when it writes its own."""
    rule = rule_for(node.target)
    if node.kind != "call" or rule is None or not rule.in_place or not node.refs:
        return None
    target = graph.by_name[node.refs[0]]
    while target.kind == "call" and (view := rule_for(target.target)) is not None and view.moves == "view":
        target = graph.by_name[target.refs[0]]
    return target.name


def depends_on_inputs(graph: Graph) -> dict[str, frozenset[str]]:
    """{node: names of the user inputs its value depends on}; shape reads are not dependence, in-place writes are."""
    found: dict[str, frozenset[str]] = {}
    pool: dict[frozenset[str], frozenset[str]] = {}
    for node in graph.nodes:
        union: frozenset[str] = frozenset((node.name,)) if node.kind == "input" else frozenset()
        for ref in node.refs:
            union |= found[ref]
        found[node.name] = pool.setdefault(union, union)
        written = written_into(graph, node)
        if written is not None:
            found[written] |= union
    return found
