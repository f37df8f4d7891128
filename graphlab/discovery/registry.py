"""The plug-ins of one kind by name: those that work, and those that do not with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from graphlab.discovery.owner import Owner, PluginError
from graphlab.errors import UnknownNameError
from graphlab.names import nearest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A plug-in by name: what it is (a class, a Model, a Hardware) and who it comes from.

    `where` says where in its distribution it is defined.
    """

    name: str
    value: T
    owner: Owner
    where: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in that does not work and why. `name` is its own, or that of its entry point where it got no further."""

    name: str
    owner: Owner
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """What is known of one kind of plug-in, which errors call a `noun`; both parts are sorted by name.

    A name that several distributions claim is none's; graphlab keeps its own names for its own use. `through` are the
    classes that authors derive theirs from, where that is not the base of all.
    """

    noun: str
    entries: Mapping[str, Entry[T]]
    broken: tuple[Broken, ...] = ()
    through: str = ""

    def find(self, name: str, *, fold: bool = False) -> Entry[T]:
        """The plug-in a user asks for by `name`; `fold` forgives upper case.

        PluginError for one that is broken, or whose name several claim; UnknownNameError suggests the nearest.
        """
        wanted = name.lower() if fold else name
        faults = [item for item in self.broken if (item.name.lower() if fold else item.name) == wanted]
        if faults:
            raise PluginError(self._said(faults[0]), hint=f"`{self.command}` lists what is broken")
        return self.own(wanted)

    def own(self, name: str) -> Entry[T]:
        """The plug-in that graphlab itself, or another plug-in, asks for by `name`: graphlab's own, if it has one."""
        if name in self.entries:
            return self.entries[name]
        fault = next((item for item in self.broken if item.name == name), None)
        if fault is not None:
            raise PluginError(self._said(fault), hint=f"`{self.command}` lists what is broken")
        raise UnknownNameError(f"no {self.noun} is called {name!r}", hint=self.hint(name, self.entries))

    def hint(self, name: str, known: Iterable[str]) -> str:
        """What to do about the unknown `name`: the nearest of `known`, all of them, and how many are broken."""
        known = list(known)
        many = f"; {len(self.broken)} do not work, `{self.command}` says why" if self.broken else ""
        return f"{nearest(name, known)}known: {', '.join(known) or 'none installed'}{many}"

    @property
    def listed(self) -> str:
        """Where to find what there is, and why some of it does not work."""
        many = f", {len(self.broken)} of which do not work" if self.broken else ""
        return f"`{self.command}` lists them{many}"

    @property
    def command(self) -> str:
        """The command that lists these."""
        return f"graphlab {self.nouns}"

    @property
    def nouns(self) -> str:
        """Several of them."""
        return f"{self.noun}{'es' if self.noun.endswith('s') else 's'}"

    def _said(self, fault: Broken) -> str:
        return f"{self.noun} {fault.name!r} of {fault.owner} ({fault.where}) does not work: {fault.reason}"


def registry_of(noun: str, claims: Iterable[Entry[T]], broken: Iterable[Broken]) -> Registry[T]:
    """`claims` by name; what claims the name of another is broken, each such plug-in naming the others' owners."""
    by_name: dict[str, list[Entry[T]]] = {}
    for claim in claims:
        same = by_name.setdefault(claim.name, [])
        if all(item.value is not claim.value for item in same):  # listed twice is not defined twice
            same.append(claim)
    entries: dict[str, Entry[T]] = {}
    faults = list(broken)
    for name, same in by_name.items():
        own = [item for item in same if item.owner.built_in]
        if len(same) == 1 or len(own) == 1:
            entries[name] = (own or same)[0]
        faults += [_clash(noun, item, same) for item in same if entries.get(name) is not item]
    order = sorted(faults, key=lambda item: (item.name, item.owner, item.where, item.reason))
    return Registry(noun, dict(sorted(entries.items())), tuple(order))


def _clash(noun: str, item: Entry[T], same: list[Entry[T]]) -> Broken:
    others = [other for other in same if other is not item]
    if any(other.owner.built_in for other in others):
        return Broken(item.name, item.owner, item.where, f"the name is that of a {noun} of graphlab, which keeps it")
    names = ", ".join(f"{other.owner} ({other.where})" for other in others)
    return Broken(item.name, item.owner, item.where, f"the name is also that of a {noun} of {names}")
