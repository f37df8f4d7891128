"""Which values of two programs should be equal, and which pass says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from graphlab.verification.tape import Tape

if TYPE_CHECKING:
    from graphlab.rewriting.change import Change


@dataclass(frozen=True, slots=True)
class Pair:
    """A value `before` and a value `after` that `pass_name` says are equal; "" for names both programs have."""

    pass_name: str
    before: str
    after: str


def claimed(before: Tape, after: Tape, changes: Sequence[Change]) -> list[Pair]:
    """The pairs of `changes` in the order of the program after.

    A pass may change what an earlier pass made: pairs are followed over several passes, whose names are then joined.
    Names are of one program each: a value that a later pass took out again has no pair.
    """
    changes = [_renamed(change, before, after) for change in changes]
    groups = _groups(changes)
    olds, position = _positions(before), _positions(after)
    direct = {pair for change in changes for pair in change.values}
    pairs: dict[tuple[str, str], Pair] = {}
    for names, passes in groups:
        for old in (name for name in names if name in olds):
            for new in (name for name in names if name in position):
                if new not in olds or (old, new) in direct or (old not in position and new != old):
                    pairs[old, new] = Pair(" then ".join(passes), old, new)
    return sorted(pairs.values(), key=lambda pair: (position[pair.after], olds[pair.before]))


def _renamed(change: Change, before: Tape, after: Tape) -> Change:
    """`change` with inputs called as the tapes call them."""
    values = tuple((before.aliases.get(old, old), after.aliases.get(new, new)) for old, new in change.values)
    return replace(change, values=values)


def _groups(changes: Sequence[Change]) -> list[tuple[list[str], list[str]]]:
    """Names that are said to be equal, directly or over others, with the passes that say so in order."""
    group_of: dict[str, tuple[list[str], list[str]]] = {}
    for change in changes:
        for old, new in change.values:
            if not new or not old:
                continue  # taken out, nobody read it
            one = group_of.get(old) or ([old], [])
            other = group_of.get(new) or ([new], [])
            merged = one if one is other else ([*one[0], *other[0]], list(dict.fromkeys([*one[1], *other[1]])))
            if change.pass_name not in merged[1]:
                merged[1].append(change.pass_name)
            for name in merged[0]:
                group_of[name] = merged
    return list({id(group): group for group in group_of.values()}.values())


def _positions(tape: Tape) -> dict[str, int]:
    given = (*tape.weights, *tape.constants, *tape.inputs)
    calls = (call.name for call in tape.calls if call.size is None)
    return {name: index for index, name in enumerate((*given, *calls))}


def common(before: Tape, after: Tape) -> list[Pair]:
    """Calls of one name and operator in both programs, in the order of the program after."""
    return [
        Pair("", call.name, call.name)
        for call in after.calls
        if call.size is None and (old := before.by_name.get(call.name)) is not None and old.op == call.op
    ]


def only_pass(pairs: Sequence[Pair]) -> str:
    """The one pass that made changes; "" where there is none or several could have done it."""
    names = {pair.pass_name for pair in pairs}
    return names.pop() if len(names) == 1 else ""
