"""A draft split into prologue, table and step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.export.graph_signature import InputKind, OutputKind

from graphlab.hoisting.boundary import cut, needed
from graphlab.hoisting.levels import Level, computes, is_size, levels
from graphlab.hoisting.part import Part, PartBuilder
from graphlab.hoisting.roles import Roles
from graphlab.hoisting.symbols import Symbols
from graphlab.rewriting.draft import Draft

Node = torch.fx.Node


@dataclass(frozen=True, slots=True)
class Plan:
    """Which value goes where: what crosses into table and step, and what each part computes."""

    level: dict[Node, Level]
    into_table: frozenset[Node]
    into_step: frozenset[Node]
    prologue: dict[Node, None]
    table: dict[Node, None]
    step: dict[Node, None]

    @property
    def prologue_results(self) -> list[Node]:
        """What the prologue hands on."""
        return self._made(self.into_table | self.into_step, Level.INVARIANT)

    @property
    def table_results(self) -> list[Node]:
        """What a row of the table holds."""
        return self._made(self.into_step, Level.SCHEDULE)

    def _made(self, values: Iterable[Node], level: Level) -> list[Node]:
        order = {node: index for index, node in enumerate(self.level)}
        found = [node for node in values if self.level[node] is level and node.op != "placeholder"]
        return sorted(found, key=lambda node: order[node])


def draft_levels(draft: Draft, roles: Roles) -> dict[Node, Level]:
    """The level of every node of `draft`, constants worth a place in the prologue raised to it."""
    changing = Symbols(draft.graph).changing(roles.changing, draft.graph)
    found = levels(draft.graph, draft.specs, roles.levels, changing)
    _raise_constants(draft, found)
    return found


def _raise_constants(draft: Draft, level: dict[Node, Level]) -> None:
    """Position tables and the like, arithmetic on sizes and buffers that a step reads, become invariants.

    Arithmetic on parameters alone is left to constant folding, which needs no prologue for it.
    """
    trained = {n for n in draft.graph.find_nodes(op="placeholder") if draft.specs[n.name].kind is InputKind.PARAMETER}
    for node in draft.graph.nodes:
        if node.op == "call_function" and level[node] is Level.CONSTANT and trained & set(node.all_input_nodes):
            trained.add(node)
    read: set[Node] = set()
    for node in reversed(draft.graph.nodes):
        if node.op != "call_function" or level[node] is not Level.CONSTANT:
            continue
        if any(level[user] is Level.STEP or user in read for user in node.users):
            read.add(node)
    raised: set[Node] = set()
    for node in draft.graph.nodes:
        worth = computes(node) or bool(raised & set(node.all_input_nodes))
        if node in read and node not in trained and worth and not is_size(node):
            raised.add(node)
            level[node] = Level.INVARIANT


def plan(draft: Draft, level: dict[Node, Level]) -> Plan | None:
    """The plan with the least in the step; None when nothing that computes can leave it."""
    producers = {Level.INVARIANT, Level.SCHEDULE}
    while producers:
        found = _plan(draft, level, producers)
        idle = {kind for kind in producers if not _works(found, kind)}
        if idle == {Level.INVARIANT} and found.into_table & set(found.prologue_results):
            idle = set()
        if not idle:
            return found
        producers -= idle
    return None


def _works(found: Plan, kind: Level) -> bool:
    part = found.prologue if kind is Level.INVARIANT else found.table
    return any(computes(node) for node in part if found.level[node] is kind)


def _plan(draft: Draft, level: dict[Node, Level], producers: set[Level]) -> Plan:
    outputs = list(draft.graph.output_node().all_input_nodes)
    live = needed(outputs, (), level)
    loop = {node: None for node in live if level[node] is Level.STEP or level[node] not in {*producers, Level.CONSTANT}}
    consumers = [*loop, draft.graph.output_node()]
    into_step = _made(cut(draft.graph.nodes, level, consumers, producers).values)
    step = needed(outputs, into_step, level)
    rows = [node for node in into_step if level[node] is Level.SCHEDULE]
    scheduled = [node for node in needed(rows, (), level) if level[node] is Level.SCHEDULE]
    into_table = _made(cut(draft.graph.nodes, level, scheduled, {Level.INVARIANT} & producers).values)
    table = needed(rows, into_table, level)
    once = [node for node in into_step | into_table if level[node] is Level.INVARIANT]
    return Plan(level, into_table & _read(table), into_step, needed(once, (), level), table, step)


def _made(values: frozenset[Node]) -> frozenset[Node]:
    """`values` without inputs, which everyone who wants them is passed."""
    return frozenset(node for node in values if node.op != "placeholder")


def _read(nodes: Iterable[Node]) -> set[Node]:
    return {arg for node in nodes for arg in node.all_input_nodes}


def build(draft: Draft, found: Plan, entry: str) -> dict[str, Part]:
    """{"prologue", "table", "step": Part} of the parts there are."""
    parts: dict[str, Part] = {}
    results = draft.graph.output_node().args[0]
    for name, body, given, outputs in (
        ("prologue", found.prologue, frozenset(), tuple(found.prologue_results)),
        ("table", found.table, found.into_table, tuple(found.table_results)),
        ("step", found.step, found.into_step, results),
    ):
        if outputs or name == "step":
            parts[name] = make_part(draft, name, body, given, outputs, entry, keep_outputs=name == "step")
    return parts


def make_part(
    draft: Draft,
    name: str,
    body: Mapping[Node, None],
    given: Iterable[Node],
    outputs: Any,
    entry: str,
    *,
    keep_outputs: bool = False,
) -> Part:
    """The part `name` that makes `outputs` by the nodes `body`, of the program's inputs and the values `given`.

    With `keep_outputs` the outputs are those of the whole, nested as it nests them; else a tuple.
    """
    passed = [n for n in body if n.op == "placeholder" and draft.specs[n.name].kind is InputKind.USER_INPUT]
    passed = [n for n in passed if isinstance(n.meta.get("val"), torch.Tensor)]
    computed = set(body) - set(passed)
    used = [node for node in given if any(user in body or user.op == "output" for user in node.users)]
    return PartBuilder(
        draft, f"{draft.program.name} {name}", [*passed, *used], outputs, computed, entry, keep_outputs=keep_outputs
    ).build()


def refusal(draft: Draft) -> str:
    """Why the program cannot be split at all; "" when it can."""
    for spec in draft.origin.graph_signature.output_specs:
        if spec.kind is not OutputKind.USER_OUTPUT:
            return f"it writes into {spec.target or 'an input'}, so a step depends on the one before it in a hidden way"
    return ""
