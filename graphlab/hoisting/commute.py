"""Projections of repeated rows: `linear(repeat(x))` is `repeat(linear(x))`, computed once and repeated at its readers.

Video models repeat the text for every frame and then project it in every block. What acts on the last axis alone
(a linear, a norm over it, anything pointwise) does not care how rows are repeated, so the repeats move behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from graphlab.hoisting.boundary import hint
from graphlab.hoisting.levels import Level
from graphlab.ops.rule import rule_for
from graphlab.rewriting.draft import Draft

Node = torch.fx.Node
aten = torch.ops.aten

WHY = "acts on the last axis of rows that are repeated: computed once, repeated afterwards"


def commute(draft: Draft, level: dict[Node, Level]) -> int:
    """Moves repeats behind what acts on each row alone, where nothing steps; returns how many calls changed."""
    count = 0
    for node in draft.calls():
        if level.get(node) not in (Level.INVARIANT, Level.SCHEDULE):
            continue
        source = _rowwise_source(node, level)
        chain = _repeats(source, level) if source is not None else []
        if source is None or not chain:
            continue
        base = chain[-1].all_input_nodes[0]
        args = tuple(base if arg is source else arg for arg in node.args)
        value = draft.call(node.target, *args, at=node, **node.kwargs)
        level[value] = level[node]
        for item in reversed(chain):
            value = _replayed(draft, item, value, node)
            level[value] = level[node]
        draft.replace(node, value, WHY)
        count += 1
    return count


def _rowwise_source(node: Node, level: Mapping[Node, Level]) -> Node | None:
    """The value whose rows `node` acts on one by one, its last axis whole; None for anything else."""
    data = [arg for arg in node.all_input_nodes if level[arg] > Level.CONSTANT]
    if len(data) != 1 or node.args[0] is not data[0] or data[0] in node.kwargs.values():
        return None
    source, made = data[0].meta.get("val"), node.meta.get("val")
    if not isinstance(source, torch.Tensor) or not isinstance(made, torch.Tensor) or source.dim() < 2:
        return None
    if node.target is aten.linear.default:
        return data[0]
    if node.target in (aten.layer_norm.default, aten.rms_norm.default):
        return data[0] if len(node.args[1]) == 1 else None  # type: ignore[arg-type]  # the normalised shape
    if made.shape != source.shape or not _is_pointwise(node):
        return None
    rest = [arg.meta["val"] for arg in node.all_input_nodes if arg is not data[0]]
    flat = all(not isinstance(value, torch.Tensor) or value.dim() <= 1 for value in rest)
    return data[0] if flat and sum(arg is data[0] for arg in node.args) == 1 else None


def _is_pointwise(node: Node) -> bool:
    rule = rule_for(str(node.target))
    if rule is None or rule.axes not in ("same", "broadcast"):
        return False
    return rule.category in ("activation", "elementwise") or rule.moves in ("cast", "identity")


def _repeats(value: Node, level: Mapping[Node, Level]) -> list[Node]:
    """The movement from `value` back to fewer rows, last first; [] where nothing is repeated."""
    chain: list[Node] = []
    kept = 0
    while value.op == "call_function" and _keeps_rows(value, level):
        source = value.all_input_nodes[0]
        chain.append(value)
        if _numel(source) < _numel(value):
            kept = len(chain)
        value = source
    return chain[:kept]


def _numel(node: Node) -> int:
    total = 1
    for size in node.meta["val"].shape:
        total *= hint(size)
    return total


def _keeps_rows(node: Node, level: Mapping[Node, Level]) -> bool:
    """Whether `node` moves whole rows of one tensor about: its last axis is that of its source."""
    check = _ROWS.get(node.target)
    if check is None or not isinstance(node.args[0], torch.fx.Node):
        return False
    if any(level[arg] > Level.CONSTANT for arg in node.all_input_nodes if arg is not node.args[0]):
        return False
    source, made = node.args[0].meta.get("val"), node.meta.get("val")
    if not isinstance(source, torch.Tensor) or not isinstance(made, torch.Tensor) or not source.dim() or not made.dim():
        return False
    return source.shape[-1] == made.shape[-1] and check(node.args, node.kwargs, source.dim(), made.dim())


def _given(args: Any, kwargs: Any, position: int, name: str, default: Any) -> Any:
    return args[position] if len(args) > position else kwargs.get(name, default)


def _unsqueezed(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return bool(args[1] % after != after - 1)


def _interleaved(args: Any, kwargs: Any, before: int, after: int) -> bool:
    dim = _given(args, kwargs, 2, "dim", None)
    return dim is not None and dim % before != before - 1


def _on_axis(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return bool(_given(args, kwargs, 1, "dim", 0) % before != before - 1)


def _swapped(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return before - 1 not in (args[1] % before, args[2] % before)


def _permuted(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return bool(args[1][-1] % before == before - 1)


def _flattened(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return bool(_given(args, kwargs, 2, "end_dim", -1) % before != before - 1)


def _repeated(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return bool(args[1][-1] == 1)


def _always(args: Any, kwargs: Any, before: int, after: int) -> bool:
    return True


_ROWS: dict[Any, Callable[[Any, Any, int, int], bool]] = {
    aten.unsqueeze.default: _unsqueezed,
    aten.expand.default: _always,
    aten.broadcast_to.default: _always,
    aten.repeat.default: _repeated,
    aten.repeat_interleave.self_int: _interleaved,
    aten.reshape.default: _always,
    aten.view.default: _always,
    aten.flatten.using_ints: _flattened,
    aten.unflatten.int: _on_axis,
    aten.slice.Tensor: _on_axis,
    aten.select.int: _on_axis,
    aten.transpose.int: _swapped,
    aten.permute.default: _permuted,
    aten.contiguous.default: _always,
    aten.clone.default: _always,
}
"""Movement of whole rows, and whether given arguments leave the last axis alone (its size stays in any case)."""


def _replayed(draft: Draft, item: Node, value: Node, at: Node) -> Node:
    """The movement `item` applied to `value`, whose rows may have another length than they had."""
    rest = list(item.args[1:])
    if item.target in (aten.reshape.default, aten.view.default):
        rest[0] = [*rest[0][:-1], draft.size(value, -1)]  # type: ignore[index,misc]  # a list of sizes
    elif item.target in (aten.expand.default, aten.broadcast_to.default):
        rest[0] = [*rest[0][:-1], -1]  # type: ignore[index,misc]  # an fx argument may be anything
    target = aten.reshape.default if item.target is aten.view.default else item.target
    return draft.call(target, value, *rest, at=at, **item.kwargs)
