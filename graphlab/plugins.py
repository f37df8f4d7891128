"""Finds passes, and plug-ins of other kinds, through entry-point groups: built-in ones come the way of anyone's."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Generic, TypeVar

from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.names import nearest
from graphlab.passes_base import Pass

GROUP = "graphlab.passes"

T = TypeVar("T")


class PluginError(GraphlabError):
    """A plug-in that cannot be imported, or two that claim one name."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A plug-in by name: its class and the distribution it comes from."""

    name: str
    kind: type[T]
    owner: str


PassEntry = Entry[Pass]
"""A pass by name."""


@cache
def passes() -> dict[str, PassEntry]:
    """{pass name: PassEntry}, sorted; a name claimed twice raises PluginError naming both owners."""
    return discovered(GROUP, Pass, "pass")


def find_pass(name: str) -> type[Pass]:
    """The class of the pass `name`; UnknownNameError suggests the nearest."""
    return found(passes(), name, "pass")


def discovered(group: str, base: type[T], noun: str) -> dict[str, Entry[T]]:
    """{name: Entry} of the subclasses of `base` with a `name` in the entry points of `group`, sorted.

    An entry point is a class, or a module or package whose classes (and those of its modules) count. `noun` is what
    errors call one. PluginError for what cannot be imported, and for a name claimed twice, naming both owners.
    """
    known: dict[str, Entry[T]] = {}
    for point in sorted(entry_points(group=group), key=lambda p: (p.name, p.value)):
        owner = point.dist.name if point.dist is not None else point.value
        for kind in _classes(point, base, noun):
            name: str = kind.name  # type: ignore[attr-defined]  # _is_plugin asked for it
            before = known.get(name)
            if before is not None and before.kind is not kind:
                raise PluginError(f"{noun} {name!r} is defined by {before.owner} and by {owner}")
            known[name] = Entry(name, kind, owner)
    return dict(sorted(known.items()))


def found(known: Mapping[str, Entry[T]], name: str, noun: str) -> type[T]:
    """The class called `name` among `known`; UnknownNameError suggests the nearest."""
    if name not in known:
        raise UnknownNameError(
            f"no {noun} is called {name!r}", hint=f"{nearest(name, known)}known: {', '.join(known) or 'none installed'}"
        )
    return known[name].kind


def _classes(point: EntryPoint, base: type[T], noun: str) -> list[type[T]]:
    try:
        loaded = point.load()
    except Exception as error:  # a stranger's import can raise anything; it is named, and only this one fails
        raise PluginError(f"{noun} plug-in {point.name} ({point.value}) cannot be imported: {error}") from error
    if inspect.isclass(loaded) and issubclass(loaded, base):
        return [loaded]
    if not isinstance(loaded, ModuleType):
        raise PluginError(
            f"{noun} plug-in {point.name} ({point.value}) is neither a module nor a {base.__name__} class"
        )
    modules = [loaded, *_submodules(loaded)]
    classes = [kind for module in modules for kind in vars(module).values() if _is_plugin(kind, base, module)]
    return list(dict.fromkeys(classes))


def _submodules(package: ModuleType) -> list[ModuleType]:
    paths = getattr(package, "__path__", ())
    return [importlib.import_module(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(paths)]


def _is_plugin(kind: object, base: type, module: ModuleType) -> bool:
    if not (inspect.isclass(kind) and issubclass(kind, base)):
        return False
    return kind.__module__ == module.__name__ and isinstance(getattr(kind, "name", None), str)
