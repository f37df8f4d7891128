"""roles: what each call is for in the model: attention, feed-forward, residual block, time embedding, ..."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.facts import AttentionSite, AxisFacts
from graphlab.flow import category, depends_on_inputs, from_weights, is_projection
from graphlab.graph import Graph, Node
from graphlab.ops import rule_for
from graphlab.ops.lineage import origins
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class RolesAnalysis(Analysis[Mapping[str, str]]):
    """{call: role}, told from data flow, so that a program whose module names are lost has the same roles.

    In order, the first that claims a call keeps it: members of an attention are `attention_core`; the
    projections that feed its operands or take its output are `attention_projection`; what depends only on
    inputs without positions (timestep, class, pooled text) is `time_embedding`; what depends only on a text
    input is `text_projection`; the first projections of the main input and the last before the results are
    `input_output`; convolutions, with the norms and activations around them, are `residual_block`; linear
    layers that feed one another through an activation are `feed_forward`. Norms and sums that belong to
    none are `other`.
    """

    name: ClassVar[str] = "roles"
    sized: ClassVar[bool] = False

    def run(self, given: AnalysisInput) -> Mapping[str, str]:
        """The role of every call of the graph."""
        graph = given.example
        claims = _Claims(graph, given.result("axes"), given.result("attention"))
        return claims.roles()


class _Claims:
    """Roles claimed so far; the first claim on a call stands."""

    def __init__(self, graph: Graph, facts: AxisFacts, sites: tuple[AttentionSite, ...]) -> None:
        self.graph = graph
        self.facts = facts
        self.sites = sites
        self.weights = from_weights(graph)
        self.depends = depends_on_inputs(graph)
        self.claimed: dict[str, str] = {}

    def roles(self) -> dict[str, str]:
        """{call: role} for every call."""
        for site in self.sites:
            self._claim(site.members, "attention_core")
        self._conditioning()
        self._attention_projections()
        self._input_output()
        self._convolutions()
        self._feed_forward()
        return {node.name: self.claimed.get(node.name, "other") for node in self.graph.calls}

    def _claim(self, names: Iterable[str], role: str) -> None:
        for name in names:
            self.claimed.setdefault(name, role)

    def _attention_projections(self) -> None:
        """Projections behind queries, keys and values with what lies between, and the one after the output."""
        for site in self.sites:
            for operand in (site.query, site.key, site.value):
                self._claim(self._exclusive_cone(operand, set(site.members)), "attention_projection")
            output = next((m for m in reversed(site.members)), site.node)
            self._claim(self._after(output), "attention_projection")

    def _exclusive_cone(self, name: str, taken: set[str]) -> list[str]:
        """Calls behind `name` down to the first projections, as far as only this attention reads them."""
        cone: list[str] = []
        pending = [name]
        seen = set(taken)
        while pending:
            node = self.graph.by_name[pending.pop(0)]
            if node.name in seen or node.kind != "call":
                continue
            users = self.graph.users[node.name]
            shared = any(u.name not in seen and u.name not in self.claimed for u in users)
            if shared and not is_projection(node, self.weights) and category(node) != "movement":
                continue
            seen.add(node.name)
            cone.append(node.name)
            if not is_projection(node, self.weights):
                pending.extend(ref for ref in node.refs if ref not in self.weights)
        return cone

    def _after(self, name: str) -> list[str]:
        """Calls from the attention's output to the projection that takes it, that included."""
        path: list[str] = []
        pending = [name]
        for _ in range(24):
            users = [u for n in pending for u in self.graph.users[n]]
            moves = [u for u in users if category(u) in ("movement", "elementwise") and len(u.refs) == 1]
            projections = [u for u in users if is_projection(u, self.weights)]
            path.extend(u.name for u in moves)
            if projections or not moves:
                return [*path, *(u.name for u in projections)] if projections else []
            pending = [u.name for u in moves]
        return []

    def _conditioning(self) -> None:
        """Calls that depend only on inputs without positions, or only on inputs the result does not follow."""
        positional = {node.name for node in self.graph.inputs if self._positions(node)}
        main = self._main_inputs()
        if not main:
            return
        text = {name for name in positional - main if self._reads(name)}
        for node in self.graph.calls:
            behind = self.depends[node.name]
            if not behind or behind & main or self._feeds_attention_only(node):
                continue
            if not behind & positional:
                self._claim([node.name], "time_embedding")
            elif behind & positional <= text:
                self._claim([node.name], "text_projection")

    def _feeds_attention_only(self, node: Node) -> bool:
        """Whether `node` is behind a key or value with nothing but movement and norms between."""
        if not hasattr(self, "_attention_feeders"):
            feeders: set[str] = set()
            for site in self.sites:
                for operand in (site.query, site.key, site.value, site.mask or site.key):
                    feeders.update(self._exclusive_cone(operand, set(site.members)))
            self._attention_feeders = feeders
        return node.name in self._attention_feeders

    def _positions(self, node: Node) -> bool:
        """Whether the input `node` has an axis other than batch and channels: positions, frames or tokens."""
        axes = self.facts.axes[node.name][0]
        meaning = self.facts.meaning
        named = {meaning.get(o) for axis in axes for o in origins(axis)}
        return bool(named & {"height", "width", "frames", "tokens"})

    def _reads(self, name: str) -> bool:
        """Whether the input `name` is a sequence of tokens and no picture."""
        axes = self.facts.axes[name][0]
        named = {self.facts.meaning.get(o) for axis in axes for o in origins(axis)}
        return "tokens" in named and not named & {"height", "width", "frames"}

    def _main_inputs(self) -> set[str]:
        """Inputs whose positions the results still have: the latent of a denoiser, the tokens of a language model."""
        followed: set[str] = set()
        for result in self.graph.results:
            for axis in self.facts.axes[result][0] if self.facts.axes[result] else ():
                followed |= {o for o in origins(axis) if self.facts.meaning.get(o) != "batch"}
        owners = {origin.rsplit(".", 1)[0] for origin in followed if not origin.startswith("%")}
        main = {node.name for node in self.graph.inputs if node.name in owners and self._positions(node)}
        return main or self._pictured_inputs()

    def _pictured_inputs(self) -> set[str]:
        """Inputs with height and width: the main ones where the results have lost their lineage."""
        sides = {axis for axis, meaning in self.facts.meaning.items() if meaning in ("height", "width")}
        return {axis.rsplit(".", 1)[0] for axis in sides}

    def _input_output(self) -> None:
        """First projections of the inputs and last ones before the results, with the movement outside them."""
        pending = [node.name for node in self.graph.inputs if node.name in (self._main_inputs() or {node.name})]
        self._claim(self._until_projection(pending, forward=True), "input_output")
        self._claim(self._until_projection(list(self.graph.results), forward=False), "input_output")

    def _until_projection(self, start: list[str], *, forward: bool) -> list[str]:
        found: list[str] = []
        seen: set[str] = set()
        pending = list(start)
        while pending:
            name = pending.pop()
            nodes = self.graph.users[name] if forward else (self.graph.by_name[name],)
            for node in nodes:
                if node.name in seen or node.kind != "call" or node.name in self.claimed:
                    continue
                seen.add(node.name)
                rule = rule_for(node.target)
                if is_projection(node, self.weights) or (rule is not None and rule.axes == "embedding"):
                    found.append(node.name)
                elif category(node) in ("movement", "elementwise", "normalization", "activation") and (
                    not forward or category(node) == "movement"
                ):
                    found.append(node.name)
                    pending.extend([node.name] if forward else node.refs)
        return found

    def _convolutions(self) -> None:
        """Convolutions and resampling, and the norms and activations that only feed them."""
        for node in self.graph.calls:
            if category(node) in ("convolution", "resampling"):
                self._claim([node.name], "residual_block")
        self._spread("residual_block", ("normalization", "activation", "movement", "elementwise"))

    def _feed_forward(self) -> None:
        """Linear layers that no other role claimed, and the activations and norms that only feed them."""
        for node in self.graph.calls:
            if node.name not in self.claimed and is_projection(node, self.weights):
                self._claim([node.name], "feed_forward")
        self._spread("feed_forward", ("normalization", "activation", "movement", "elementwise"))

    def _spread(self, role: str, kinds: tuple[str, ...]) -> None:
        """Calls of `kinds` all of whose users have `role` take it too; sums of two activations do not."""
        for node in reversed(self.graph.calls):
            if node.name in self.claimed or category(node) not in kinds:
                continue
            users = self.graph.users[node.name]
            if users and all(self.claimed.get(user.name) == role for user in users):
                self.claimed[node.name] = role
