"""Self, cross or joint; spatial, temporal, spatiotemporal or sequence; how many heads: asked of the lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.facts import AxisFacts
from graphlab.flow import category, is_projection, sources
from graphlab.graph import Graph, Node
from graphlab.ops import rule_for
from graphlab.ops.lineage import LOST, Axes, Axis, Factor, origins, product


@dataclass(frozen=True, slots=True)
class Question:
    """One attention, as its lineage shows it: axes of the batch-and-heads lead, of the queries, of the keys."""

    graph: Graph
    weights: frozenset[str]
    facts: AxisFacts
    packed: Mapping[str, tuple[str, ...]]
    query: str
    key: str
    lead: Axes
    q_tokens: Axis
    kv_tokens: Axis

    def kind(self) -> str | None:
        """self: same source; cross: another; joint: keys are a concatenation of several; None: not visible."""
        parts = self._key_parts()
        queries = _inputs(origins(self.q_tokens))
        if len(parts) > 1:
            if not queries:
                return None
            return "joint" if any(queries & part for part in parts) else "cross"
        keys = parts[0] if parts else frozenset()
        if self._projected_from(self.query) & self._projected_from(self.key):
            return "self"
        if queries and keys:
            return "self" if queries & keys else "cross"
        if keys and not queries and product(self.q_tokens) > 1:
            return "cross"  # learned queries attend to an input
        return self._kind_of_one_token()

    def _kind_of_one_token(self) -> str | None:
        """Kind where a token axis has size 1: what queries and keys are computed from decides."""
        if self._uses_cache():
            return "self" if self._adds_to_cache() else "cross"
        q_source, k_source = self._projected_from(self.query), self._projected_from(self.key)
        if not q_source or not k_source:
            return None
        return "cross" if all(self.graph.by_name[n].kind == "input" for n in k_source) else None

    def _key_parts(self) -> list[frozenset[str]]:
        """Distinct sources of the key tokens; what comes straight from a cache input is not one."""
        parts = [f.parts for f in self.kv_tokens if f.parts]
        if not parts:
            known = _inputs(origins(self.kv_tokens))
            return [known] if known else []
        cached = self._cache_axes()
        found = [_inputs(part) for _, part in parts[0]]
        seen = [part for part in dict.fromkeys(found) if part and not part <= cached]
        # Tokens made of a vector (a projected image embedding) come from no axis: another source all the same.
        # One alone is the new token of a decode step; what weights alone make (registers) is no source.
        made = any(not part and size > 1 for size, part in parts[0])
        return [*seen, frozenset({LOST})] if made and seen and not cached else seen

    def _projected_from(self, name: str) -> frozenset[str]:
        """The values that the projections behind `name` read."""
        stops = sources(self.graph, name, lambda node: is_projection(node, self.weights) or _mixes(node))
        read: set[str] = set()
        for stop in stops:
            node = self.graph.by_name[stop]
            if node.kind == "input":
                read.add(stop)
            elif is_projection(node, self.weights):
                read.update(ref for ref in node.refs if ref not in self.weights)
        return frozenset(_unmoved(self.graph, value) for value in read)

    def _cache_axes(self) -> frozenset[str]:
        """Axes of inputs that reach the keys by movement alone: a cache."""
        return frozenset(
            origin
            for name in self._moved_inputs()
            for axis in self.facts.axes[name][0]
            for origin in origins(axis)
            if self.facts.meaning.get(origin) != "batch"
        )

    def _moved(self) -> list[Node]:
        """What reaches the keys by movement alone: inputs (a cache) and what this call computes (new tokens)."""
        found = sources(self.graph, self.key, lambda node: category(node) not in ("movement",))
        return [self.graph.by_name[name] for name in found]

    def _moved_inputs(self) -> list[str]:
        return [node.name for node in self._moved() if node.kind == "input"]

    def _uses_cache(self) -> bool:
        return bool(self._moved_inputs())

    def _adds_to_cache(self) -> bool:
        """Whether the keys hold a token of this call beside the cache: those of a text, made once, never do."""
        return any(node.kind != "input" for node in self._moved())

    def axis(self) -> str | None:
        """What the queries run over; for joint attention, the part that is not plain tokens where there is one."""
        names = _inputs(origins(self.q_tokens))
        if not names and self._uses_cache():
            names = _inputs(origins(self.kv_tokens))  # one new token against a cache: they run over the same
        if not names:
            return None
        meanings: set[str] = set()
        for name in names:
            if name in self.packed:
                meanings.update(self.packed[name])
            elif name in self.facts.meaning:
                meanings.add(self.facts.meaning[name])
            else:
                return None
        spatial, temporal = bool(meanings & {"height", "width"}), "frames" in meanings
        if spatial:
            return "spatiotemporal" if temporal else "spatial"
        if temporal:
            return "temporal"
        return "sequence" if "tokens" in meanings else None

    def heads(self) -> int | None:
        """The part of the leading axes that comes from channels; the convention (batch, heads) where lost."""
        factors = [factor for axis in self.lead for factor in axis]
        if any(LOST in factor.origins for factor in factors):
            return product(self.lead[1]) if len(self.lead) == 2 else None
        if len(self.lead) == 2 and not any(factor.known for factor in factors):
            return product(self.lead[1])
        total = 1
        for factor in factors:
            batch = self._is_batch(factor)
            if batch is None:
                return None
            total *= 1 if batch else factor.size
        return total

    def _is_batch(self, factor: Factor) -> bool | None:
        """Whether a leading factor is a batch of some kind; None for an input axis of unknown meaning."""
        names = _inputs(factor.origins)
        if not names or any(name in self.facts.meaning or name in self.packed for name in names):
            return bool(names)
        return True if any(name.endswith(".d0") for name in names) else None


def _inputs(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if not name.startswith("%"))


def _mixes(node: Node) -> bool:
    """Whether `node` combines tokens: nothing behind it says what a projection reads."""
    rule = rule_for(node.target)
    return node.kind == "call" and rule is not None and rule.axes in ("attention", "embedding")


def _unmoved(graph: Graph, name: str) -> str:
    """The value behind views and casts: two projections of one tensor may read two reshapes of it."""
    node = graph.by_name[name]
    while node.kind == "call" and category(node) == "movement" and len(node.refs) == 1:
        node = graph.by_name[node.refs[0]]
    return node.name
