"""mask-placement: which layers, roles and attentions a weight mask lets change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from graphlab.errors import GraphlabError
from graphlab.facts import AttentionSite, PlacedWeight
from graphlab.flow import category, from_weights, is_projection
from graphlab.graph import Graph, Node
from graphlab.masks import WeightMask, read_mask
from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.rewriting.options import required

PARTS = ("query", "key", "value", "output")


@dataclass(frozen=True)
class MaskPlacement(Analysis[tuple[PlacedWeight, ...]]):
    """For every weight of a mask how much of it is set, how it scored, what it does and to which attention it belongs.

    Layer, role and attention come from the graph: a mask made for one spelling of a model is placed in another. Rows
    stand in the order in which the program uses the weights. GraphlabError for a mask with a weight that the program
    does not hold, or holds in another shape.
    """

    name: ClassVar[str] = "mask-placement"
    sized: ClassVar[bool] = False

    # A field, not a shared default, which is what RUF009 looks for.
    mask: Path = required("the mask, a safetensors file of packed bits (docs/masks.md)")  # noqa: RUF009

    def run(self, given: AnalysisInput) -> tuple[PlacedWeight, ...]:
        """A row a masked weight."""
        graph, mask = given.example, read_mask(self.mask)
        held = {node.target: node for node in graph.weights}
        for key, item in mask.weights.items():
            if key not in held:
                raise GraphlabError(f"{self.mask} masks {key}, which the program does not hold")
            if tuple(held[key].out.shape) != item.shape:
                raise GraphlabError(f"{self.mask} masks {key} of {item.shape}, the program's is {held[key].out.shape}")
        roles, parts = given.result("roles"), _attention_parts(graph, given.result("attention"))
        rows = []
        for key in (key for key in held if key in mask.weights):
            users = _users(graph, held[key])
            found = [parts[user.name] for user in users if user.name in parts]
            kind, part = found[0] if found else (None, None)
            item = mask.weights[key]
            role = roles[users[0].name] if users else "unused"
            layer = users[0].modules[-1][0] if users and users[0].modules else ""
            score = _score(mask, key)
            rows.append(PlacedWeight(key, layer, role, kind, part, item.entries, item.set_entries, score))
        return tuple(rows)


def _score(mask: WeightMask, key: str) -> float | None:
    """The mean score that saliency wrote down for a weight, in `about`; None where there is none."""
    scores = mask.about.get("mean_scores")
    found = scores.get(key) if isinstance(scores, Mapping) else None
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _users(graph: Graph, weight: Node) -> list[Node]:
    """Calls that take `weight`, or what is made of it alone (a transpose, a cast), beside an activation."""
    fixed, pending, found = from_weights(graph), [weight], []
    while pending:
        for user in graph.users[pending.pop().name]:
            if user.name in fixed:
                pending.append(user)
            else:
                found.append(user)
    return found


def _attention_parts(graph: Graph, sites: tuple[AttentionSite, ...]) -> dict[str, tuple[str | None, str]]:
    """{call: (kind, parts)} of the projections before and after every attention and the norms between them.

    `parts` joins several with a plus: one projection may make queries, keys and values.
    """
    weights = from_weights(graph)
    found: dict[str, tuple[str | None, list[str]]] = {}
    for site in sites:
        for part, operand in zip(PARTS, (site.query, site.key, site.value), strict=False):
            for name in _before(graph, operand, weights, set(site.members)):
                parts = found.setdefault(name, (site.kind, []))[1]
                parts += [part] if part not in parts else []
        for name in _after(graph, site, weights):
            found.setdefault(name, (site.kind, [PARTS[3]]))
    return {name: (kind, "+".join(parts)) for name, (kind, parts) in found.items()}


def _before(graph: Graph, operand: str, weights: frozenset[str], members: set[str]) -> list[str]:
    """Calls with weights behind `operand`, down to the first projections, these included."""
    found, seen, pending = [], set(members), [operand]
    while pending:
        node = graph.by_name[pending.pop()]
        if node.name in seen or node.kind != "call" or node.name in weights:
            continue
        seen.add(node.name)
        if any(ref in weights for ref in node.refs):
            found.append(node.name)
        if not is_projection(node, weights) and category(node) != "attention":
            pending.extend(node.refs)
    return found


def _after(graph: Graph, site: AttentionSite, weights: frozenset[str]) -> list[str]:
    """The projections that take the output of `site` with nothing but movement between."""
    seen, pending, found = set(site.members), [*site.members], []
    while pending:
        for user in graph.users[pending.pop()]:
            if user.name in seen:
                continue
            seen.add(user.name)
            if is_projection(user, weights):
                found.append(user.name)
            elif category(user) == "movement":
                pending.append(user.name)
    return found
