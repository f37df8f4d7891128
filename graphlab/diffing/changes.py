"""Two values of one quantity as a Change, with what samples of seconds say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphlab.diffing.quantities import BY_NAME
from graphlab.diffing.side import NOTHING, Value, Values
from graphlab.report.diff_data import Change, GroupDiff, Status, Timing

UNPAIRED = (
    "the two were not timed in turn: intervals hold the noise within each run, not what else differed between the runs "
    "(clock, load, temperature)"
)


def changes(a: Values | None, b: Values | None) -> tuple[Change, ...]:
    """The change of every quantity that both sides have; a side that is None is not there and costs nothing."""
    if a is None or b is None:
        there = b if a is None else a
        assert there is not None
        gone = {name: _absent(value) for name, value in there.items()}
        a, b = (gone, there) if a is None else (there, gone)
    return tuple(_change(name, a[name], b[name]) for name in _ordered({**a, **b}) if name in a and name in b)


def _ordered(names: Iterable[str]) -> list[str]:
    rank = {name: index for index, name in enumerate(BY_NAME)}
    return sorted(names, key=lambda name: rank.get(name, len(rank)))


def _absent(value: Value) -> Value:
    """What a stage or group that is not there costs: nothing, where that is known at all. It has no measured time.

    Where it is there and all of its calls are without a rule, it is known to be nothing where it is not.
    """
    if value.measured:
        return Value(None, measured=True, why="it is on one side alone")
    return Value(None) if value.number is None and not value.uncounted else NOTHING


def _change(name: str, a: Value, b: Value) -> Change:
    quantity = BY_NAME.get(name)
    return Change(
        quantity=name,
        unit=quantity.unit if quantity is not None else "",
        a=a.number,
        b=b.number,
        uncounted_a=a.uncounted,
        uncounted_b=b.uncounted,
        timing=_timing(a, b) if a.measured or b.measured else None,
    )


def _timing(a: Value, b: Value) -> Timing:
    ratio = a.number / b.number if a.number is not None and b.number else None
    rounds = (len(a.samples), len(b.samples))
    why = a.why or b.why
    if why or not all(rounds) or ratio is None:
        return Timing(ratio, None, None, b.level, "unknown", *rounds, why or "one of the two has no samples")
    from graphlab.timing.statistics import LEAST_ROUNDS, unpaired, verdict

    found = unpaired(a.samples, b.samples)
    if found is None:
        few = f"an interval takes {LEAST_ROUNDS} rounds of each, and there are {rounds[0]} and {rounds[1]}"
        return Timing(ratio, None, None, b.level, "unknown", *rounds, few)
    return Timing(ratio, found.ratio, found.difference, b.level, verdict(found.ratio), *rounds)


def group_diffs(by: str, a: Mapping[str, Values], b: Mapping[str, Values]) -> list[GroupDiff]:
    """Every group of either side, in a's order and then b's."""
    return [_group(by, name, a.get(name), b.get(name)) for name in dict.fromkeys((*a, *b))]


def _group(by: str, name: str, a: Values | None, b: Values | None) -> GroupDiff:
    found = changes(a, b)
    status: Status = "changed" if any(item.changed for item in found) else "same"
    if a is None or b is None:
        status = "added" if a is None else "removed"
    return GroupDiff(by, name, status, found)
