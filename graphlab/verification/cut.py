"""The region of a pair of values: the calls on both sides that lie between what is known to be equal and the pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphlab.graph import Ref
from graphlab.verification.pairs import Pair
from graphlab.verification.tape import Call, Tape


@dataclass(frozen=True, slots=True)
class Side:
    """One program's part of a region: `calls` in order, the values they start from and the weights they read."""

    calls: tuple[Call, ...]
    leaves: tuple[str, ...]
    weights: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A pair with both sides. `leaves` are the common values, by their names after; `template` what is compared."""

    pair: Pair
    before: Side
    after: Side
    leaves: tuple[str, ...]
    templates: tuple[Any, Any]
    alone: frozenset[str]
    """Leaves that one side alone reads, by their names after."""


@dataclass
class Mates:
    """Values known to be equal while the program after is walked: `after` {name before: name after}."""

    after: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)

    def add(self, before: str, after: str) -> None:
        """From here on the two are the same value."""
        self.after.setdefault(before, after)
        self.before.setdefault(after, before)


def starting_mates(before: Tape, after: Tape) -> Mates:
    """Inputs by place, weights by key, constants by name where they hold the same numbers."""
    mates = Mates()
    for old, new in zip(before.inputs, after.inputs, strict=True):
        mates.add(old, new)
    by_key = {key: name for name, key in after.weights.items()}
    for name, key in before.weights.items():
        if key in by_key:
            mates.add(name, by_key[key])
    for name, value in before.constants.items():
        if after.constants.get(name) is value:
            mates.add(name, name)
    return mates


def same_call(old: Call, new: Call, before: Tape, after: Tape, mates: Mates) -> bool:
    """Whether two calls are one operator on equal arguments."""
    if old.op != new.op or old.function is not new.function or old.autocast != new.autocast:
        return False
    return _equal((old.args, old.kwargs), (new.args, new.kwargs), before, after, mates)


def _equal(old: Any, new: Any, before: Tape, after: Tape, mates: Mates) -> bool:
    if isinstance(old, Ref) and isinstance(new, Ref):
        left, right = size_of(before, old.name), size_of(after, new.name)
        if left is not None or right is not None:
            return left == right
        return mates.after.get(old.name) == new.name
    if isinstance(old, (Ref, int)) and isinstance(new, (Ref, int)):
        return _size(before, old) == _size(after, new) and type(_size(before, old)) is type(_size(after, new))
    if isinstance(old, (tuple, list)) and isinstance(new, (tuple, list)):
        pairs = zip(old, new, strict=False)
        return len(old) == len(new) and all(_equal(a, b, before, after, mates) for a, b in pairs)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_equal(old[k], new[k], before, after, mates) for k in old)
    return type(old) is type(new) and bool(old == new)


def _size(tape: Tape, value: Any) -> Any:
    return size_of(tape, value.name) if isinstance(value, Ref) else value


def size_of(tape: Tape, name: str) -> int | str | None:
    """The text of a value that is a size; None for a tensor."""
    call = tape.by_name.get(name)
    return call.size if call is not None else None


def always_open(tape: Tape) -> frozenset[str]:
    """Values that are computed in every region instead of drawn, because what they may be matters.

    What depends on weights and sizes alone (a causal mask, a turned weight); what follows from integer and boolean
    inputs without a parameter (masks, padded with -inf, and positions); several tensors at once.
    """
    kinds = {node.name: node for node in tape.program.graph.nodes}
    closed = {*tape.weights, *tape.constants}
    plain = {name for name in tape.inputs if _discrete(kinds[name])} | set(tape.constants)
    plain |= {name for name in tape.weights if kinds[name].kind != "parameter"}
    found: set[str] = set()
    for call in tape.calls:
        refs = [name for name in call.refs if size_of(tape, name) is None]
        for group in (closed, plain):
            if all(name in group for name in refs):
                group.add(call.name)
                found.add(call.name)
        if _several(kinds.get(call.name)):
            found.add(call.name)
    return frozenset(found)


def _several(node: Any) -> bool:
    return node is not None and (len(node.outputs) != 1 or node.outputs[0] is None)


def _discrete(node: Any) -> bool:
    return node is not None and all(
        spec is not None and not spec.dtype.startswith(("float", "bfloat", "complex")) for spec in node.outputs
    )


def side(tape: Tape, targets: Collection[str], stop: Mapping[str, str], opened: Collection[str]) -> Side:
    """Everything `targets` need, back to names in `stop` that are not `opened`, to inputs, weights and constants."""
    given, stored = set(tape.inputs), {**tape.weights, **tape.constants}
    needed: set[str] = set()
    leaves: dict[str, None] = {}
    weights: dict[str, None] = {}
    pending = [name for name in targets if size_of(tape, name) is None]
    while pending:
        name = pending.pop()
        if name in needed or name in leaves or name in weights:
            continue
        if name in stored:
            weights[name] = None
        elif name in given or (name in stop and name not in opened):
            leaves[name] = None
        else:
            needed.add(name)
            pending.extend(ref for ref in reversed(tape.by_name[name].refs) if size_of(tape, ref) is None)
    calls = tuple(call for call in tape.calls if call.name in needed)
    return Side(calls, tuple(leaves), tuple(weights))


@dataclass
class Cutter:
    """Cuts regions out of two programs."""

    before: Tape
    after: Tape
    mates: Mates

    def __post_init__(self) -> None:
        self.open_before, self.open_after = always_open(self.before), always_open(self.after)

    def region(
        self, pair: Pair, templates: tuple[Any, Any], targets: tuple[set[str], set[str]], wider: set[str]
    ) -> Region:
        """The region of `pair`. `wider` are values by their names after that are computed instead of drawn.

        Where each side starts from values that the other does not read, these may depend on each other: they are
        computed from what comes before until both sides start from the same.
        """
        extra = set(wider)
        while True:
            before, after = self._sides(targets, extra)
            old = {self.mates.after[name] for name in before.leaves}
            new = set(after.leaves)
            alone = old ^ new
            inputs = set(self.after.inputs)
            if not (old - new - inputs and new - old) and not (new - old - inputs and old - new):
                break
            extra |= alone - inputs
        leaves = dict.fromkeys((*after.leaves, *(self.mates.after[name] for name in before.leaves)))
        return Region(pair, before, after, tuple(leaves), templates, frozenset(alone))

    def _sides(self, targets: tuple[set[str], set[str]], extra: set[str]) -> tuple[Side, Side]:
        """A value is opened on both sides at once: it must not be drawn here and computed there."""
        opened = set(extra)
        opened |= {self.mates.after[name] for name in self.open_before if name in self.mates.after}
        opened |= {name for name in self.open_after if name in self.mates.before}
        old = {name for name, new in self.mates.after.items() if new in opened}
        before = side(self.before, targets[0], self.mates.after, old | targets[0])  # what is claimed is computed
        after = side(self.after, targets[1], self.mates.before, opened)
        return before, after
