"""Arguments of a call with numbered slots in the place of values, and functions that fill them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Slots: TypeAlias = list[Any]
"""The values of a run, by slot; None where there is none yet, or no longer."""
Resolver: TypeAlias = Callable[[Slots], Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """An argument that is the value in a slot."""

    index: int


def slots_in(value: Any) -> Iterator[Slot]:
    """Every slot in `value`, nested tuples, lists and dictionaries searched; repeats kept."""
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from slots_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from slots_in(item)


def resolver(template: Any) -> Resolver:
    """A function of the slots that returns `template` with every Slot replaced by its value."""
    if isinstance(template, Slot):
        index = template.index
        return lambda slots: slots[index]
    if not any(True for _ in slots_in(template)):
        return lambda slots: template
    if isinstance(template, dict):
        items = [(key, resolver(value)) for key, value in template.items()]
        return lambda slots: {key: resolve(slots) for key, resolve in items}
    return _sequence(template)


def _sequence(template: tuple[Any, ...] | list[Any]) -> Resolver:
    """The resolver of a tuple or list: constants are copied in one go, slots looked up one by one."""
    base = [None if isinstance(item, Slot) else item for item in template]
    places = [(at, item.index) for at, item in enumerate(template) if isinstance(item, Slot)]
    containers = [(at, item) for at, item in enumerate(template) if isinstance(item, (tuple, list, dict))]
    nested = [(at, resolver(item)) for at, item in containers if any(True for _ in slots_in(item))]

    def resolve(slots: Slots) -> Any:
        values = base.copy()
        for at, index in places:
            values[at] = slots[index]
        for at, inner in nested:
            values[at] = inner(slots)
        return tuple(values) if isinstance(template, tuple) else values

    return resolve
