"""What each value of a graph depends on: nothing that is passed in, invariant inputs, the schedule, or the step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import IntEnum
from typing import Any

import sympy
import torch
from torch.export.graph_signature import InputKind, InputSpec

from graphlab.ops.rule import rule_for

Node = torch.fx.Node


class Level(IntEnum):
    """How often a value changes during a generation."""

    CONSTANT = 0
    """Depends on weights and sizes alone."""
    INVARIANT = 1
    """Depends on inputs that stay the same in every step."""
    SCHEDULE = 2
    """Depends on the timestep, and perhaps on invariant inputs: one value a timestep, known before the loop."""
    STEP = 3
    """Depends on what the step before made."""


def levels(
    graph: torch.fx.Graph,
    specs: Mapping[str, InputSpec],
    inputs: Mapping[str, Level],
    changing: Collection[sympy.Symbol] = (),
) -> dict[Node, Level]:
    """{node: Level} of every node of `graph`.

    `inputs` are the levels of the user's inputs by name; `changing` are the size symbols that change from step to step.
    Reading a size is no data dependence, unless that size changes.
    """
    found: dict[Node, Level] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            user = specs[node.name].kind is InputKind.USER_INPUT
            known = isinstance(node.meta.get("val"), torch.Tensor)
            found[node] = inputs.get(node.name, Level.STEP) if user and known else Level.CONSTANT
        elif node.op == "get_attr":
            found[node] = Level.CONSTANT
        elif is_size(node):
            found[node] = _size_level(node, found, changing)
        else:
            found[node] = max((found[arg] for arg in node.all_input_nodes), default=Level.CONSTANT)
            if is_random(node):
                found[node] = Level.STEP
    return found


def is_size(node: Node) -> bool:
    """Whether the value of `node` is a number: a size, or arithmetic on sizes."""
    return isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat, torch.SymBool, int, float, bool)) and (
        node.op == "call_function"
    )


def reads_sizes(node: Node) -> bool:
    """Whether the number `node` is read from a shape, or combined of such, by an operator made for that."""
    return str(node.target).startswith(("aten.sym_", "sym_"))


def _size_level(node: Node, found: Mapping[Node, Level], changing: Collection[sympy.Symbol]) -> Level:
    """CONSTANT for a size of the inputs, STEP for one that changes or for a number read from data."""
    reads = reads_sizes(node)
    if not reads and any(isinstance(arg.meta.get("val"), torch.Tensor) for arg in node.all_input_nodes):
        return Level.STEP
    if free_symbols(node.meta["val"]) & set(changing):
        return Level.STEP
    return Level.CONSTANT if reads else max((found[arg] for arg in node.all_input_nodes), default=Level.CONSTANT)


def free_symbols(value: Any) -> set[sympy.Symbol]:
    """The size symbols in a fake tensor's shape or in a size."""
    if isinstance(value, torch.Tensor):
        return {symbol for size in value.shape for symbol in free_symbols(size)}
    if isinstance(value, (tuple, list)):
        return {symbol for item in value for symbol in free_symbols(item)}
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return set(value.node.expr.free_symbols)
    return set()


def is_random(node: Node) -> bool:
    """Whether `node` draws random numbers: dropout in eval and attention without dropout do not."""
    if not isinstance(node.target, torch._ops.OpOverload) or torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    for position, argument in enumerate(node.target._schema.arguments):
        given = node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
        value = argument.default_value if given is None and argument.has_default_value() else given
        if argument.name in ("train", "training") and value is False:
            return False
        if argument.name in ("p", "dropout_p", "dropout") and value == 0:
            return False
    return True


def computes(node: Node) -> bool:
    """Whether `node` is arithmetic or a look-up: what is worth taking out of a loop, unlike moving and creating."""
    if node.op != "call_function" or is_size(node) or is_assertion(node):
        return False
    if getattr(node.target, "__name__", "") == "getitem":
        return False
    rule = rule_for(str(node.target))
    return rule is None or rule.category != "movement"


def is_assertion(node: Node) -> bool:
    """Whether `node` has no value: a check of sizes or dtypes."""
    return node.op == "call_function" and node.meta.get("val") is None and not node.users
