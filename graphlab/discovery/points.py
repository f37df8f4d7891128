"""Entry points of installed distributions, read one distribution at a time: a damaged one hides no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions

from graphlab.discovery.owner import GRAPHLAB, Owner

PREFIX = "graphlab."
"""What the names of the groups of plug-ins begin with."""

GROUPS = tuple(f"{PREFIX}{kind}" for kind in ("passes", "models", "devices", "backends"))


@dataclass(frozen=True, slots=True)
class Point:
    """An entry point with its owner; `error` is why the distribution's list of them could not be read."""

    name: str
    value: str
    group: str
    owner: Owner
    entry: EntryPoint | None = None
    error: str = ""

    @property
    def where(self) -> str:
        """It as its distribution writes it."""
        return f"{self.name} = {self.value}" if self.entry is not None else self.value


@cache
def all_points() -> tuple[Point, ...]:
    """Every entry point of a `graphlab.` group, graphlab's own first, then by owner, name and value."""
    seen: set[str] = set()
    found: list[Point] = []
    for distribution in distributions():
        owner = _owner(distribution)
        listed = tuple(_points_of(distribution, owner))
        if owner == GRAPHLAB and listed and not any(point.value.startswith(PREFIX) for point in listed):
            owner = Owner(f"another {owner.name}", _version(distribution))  # it has the name and none of the code
            listed = tuple(replace(point, owner=owner) for point in listed)
        key = re.sub(r"[-_.]+", "-", owner.name).lower()
        if key in seen:  # further back on the path: not the one that is imported
            continue
        seen.add(key)
        found += listed
    return tuple(sorted(found, key=lambda p: (not p.owner.built_in, str(p.owner), p.name, p.value)))


def points(group: str) -> tuple[Point, ...]:
    """The entry points of `group`; one with an `error` for a list that cannot be read, and for a misspelled group."""
    own = [point for point in all_points() if point.group == group]
    meant = [point for point in all_points() if point.group not in GROUPS and _nearest(point.group) == group]
    what = "there is no group {0} (did you mean {1}?)"
    return (*own, *(replace(p, entry=None, error=what.format(repr(p.group), repr(group))) for p in meant))


def _nearest(group: str) -> str | None:
    return next(iter(get_close_matches(group, GROUPS, n=1, cutoff=0.8)), None)


def _owner(distribution: Distribution) -> Owner:
    name: str | None = None
    with suppress(Exception):  # metadata that is missing or no text
        name = distribution.metadata["Name"]
    if name and re.sub(r"[-_.]+", "-", name).lower() == GRAPHLAB.name:
        return GRAPHLAB  # of the code that runs, which an old installation's metadata may not know
    return Owner(str(name) if name else "a distribution without a name", _version(distribution))


def _version(distribution: Distribution) -> str | None:
    with suppress(Exception):  # as for its name
        found = distribution.metadata["Version"]
        return str(found) if found else None
    return None


def _points_of(distribution: Distribution, owner: Owner) -> Iterator[Point]:
    try:
        listed = [point for point in distribution.entry_points if point.group.startswith(PREFIX)]
    except Exception as error:  # the file is a stranger's: a line without "=", not UTF-8
        text = distribution.read_text("entry_points.txt") if isinstance(error, TypeError) else ""
        for group in dict.fromkeys(re.findall(r"^\s*\[\s*(graphlab\.\w+)\s*\]", text or "", re.M)):
            yield Point("", "entry_points.txt", group, owner, error=f"its entry points cannot be read: {error}")
        return
    for point in listed:
        yield Point(point.name, point.value, point.group, owner, point)
