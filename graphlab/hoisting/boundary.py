"""Where a graph is cut: the values the loop takes over, as small as views and copies allow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.hoisting.levels import Level, is_assertion, is_size, reads_sizes
from graphlab.ops.rule import rule_for

Node = torch.fx.Node

_FREE = ("view", "identity")


@dataclass(frozen=True, slots=True)
class Cut:
    """`values` cross from the producers to the consumers; `sunk` is movement the consumers do themselves."""

    values: frozenset[Node]
    sunk: frozenset[Node]


def cut(
    nodes: Iterable[Node],
    level: Mapping[Node, Level],
    consumers: Collection[Node],
    producers: Collection[Level],
) -> Cut:
    """The cut between `consumers` and what they read of the levels `producers`.

    Values start as what the consumers read. Movement that makes a value from one other is done by the consumers where
    they get away with fewer bytes: expanding, repeating and widening casts always, views of one value (the pieces of
    a `chunk`) where the whole is no larger than the pieces that are read.
    """
    order = [node for node in nodes if level.get(node) in producers and not is_size(node)]
    wanted: dict[Node, None] = {}
    for node in consumers:
        for arg in node.all_input_nodes:
            if level[arg] in producers and not is_size(arg) and not is_size(node):
                wanted[arg] = None
    sunk: set[Node] = set()
    origins = {node: _source(node, level) for node in order}
    for source in reversed(order):
        derived = [value for value in wanted if origins.get(value) is source]
        cheap = [value for value in derived if _is_free(value) or _least(source, origins) < nbytes(value)]
        price = 0 if source in wanted else _least(source, origins)
        if not cheap or price > sum(nbytes(value) for value in cheap):
            continue
        for value in cheap:
            del wanted[value]
            sunk.add(value)
            if _is_item(value):
                sunk.add(value.all_input_nodes[0])
        wanted[source] = None
    return Cut(frozenset(wanted), frozenset(sunk))


def _least(value: Node, origins: Mapping[Node, Node | None]) -> int:
    """The fewest bytes that `value` can be moved from; inputs are there anyway."""
    fewest = nbytes(value)
    origin: Node | None = value
    while origin is not None:
        if origin.op == "placeholder":
            return 0
        fewest = min(fewest, nbytes(origin))
        origin = origins.get(origin)
    return fewest


def _source(value: Node, level: Mapping[Node, Level]) -> Node | None:
    """The one value that `value` is moved from; None for one that is computed, or made of several."""
    if value.op != "call_function":
        return None
    maker = value.all_input_nodes[0] if _is_item(value) else value
    rule = rule_for(str(maker.target))
    if rule is None or rule.category != "movement" or rule.axes == "create":
        return None
    data = [arg for arg in dict.fromkeys(maker.all_input_nodes) if level[arg] > Level.CONSTANT]
    return data[0] if len(data) == 1 and isinstance(data[0].meta.get("val"), torch.Tensor) else None


def _is_item(value: Node) -> bool:
    """Whether `value` is one piece of a `chunk`, `split` or `unbind`."""
    if getattr(value.target, "__name__", "") != "getitem":
        return False
    rule = rule_for(str(value.all_input_nodes[0].target))
    return rule is not None and rule.moves == "view"


def _is_free(value: Node) -> bool:
    """Whether making `value` moves no bytes."""
    if _is_item(value):
        return True
    rule = rule_for(str(value.target))
    if rule is None:
        return False
    if rule.moves in _FREE:
        return True
    source = value.all_input_nodes[0].meta["val"]
    made = value.meta["val"]
    if rule.moves == "cast":
        return bool(source.dtype == made.dtype)
    if rule.moves == "contiguous":
        return bool(source.stride() == made.stride())
    return rule.moves == "reshape" and _is_view(source, made)


def _is_view(source: torch.Tensor, made: torch.Tensor) -> bool:
    """Whether a reshape of `source` to the shape of `made` is a view: always for contiguous memory, and where an
    expanded axis is still one."""
    expanded = any(isinstance(stride, int) and stride == 0 for stride in made.stride())
    return expanded or bool(source.is_contiguous()) or source.shape == made.shape


def nbytes(node: Node) -> int:
    """Bytes of the value of `node` at the example sizes; an expanded axis counts once."""
    if "val" in node.meta:
        return value_bytes(node.meta["val"])
    return sum(value_bytes(user.meta.get("val")) for user in node.users)  # several results, in a reloaded program


def value_bytes(value: Any) -> int:
    """Bytes of a fake tensor, or of several, at the example sizes; an expanded axis counts once."""
    if isinstance(value, (tuple, list)):
        return sum(value_bytes(item) for item in value)
    if not isinstance(value, torch.Tensor):
        return 0
    total = value.element_size()
    for size, stride in zip(value.shape, value.stride(), strict=True):
        total *= 1 if isinstance(stride, int) and stride == 0 else hint(size)
    return total


def hint(size: Any) -> int:
    """A size at the example the program was captured with."""
    return size if isinstance(size, int) else int(size.node.hint)


def needed(results: Iterable[Node], given: Collection[Node], level: Mapping[Node, Level]) -> dict[Node, None]:
    """What has to be computed for `results` when `given` are there, sizes left out, weights among them.

    Numbers are left out too, but what they are read from is not (`table[timestep]` for a timestep of no axes).
    """
    found: dict[Node, None] = {}
    pending, seen = list(results), set[Node]()
    while pending:
        node = pending.pop()
        if node in seen or node in given or is_assertion(node) or (is_size(node) and reads_sizes(node)):
            continue
        seen.add(node)
        if not is_size(node):
            found[node] = None
        pending.extend(node.all_input_nodes)
    return found
