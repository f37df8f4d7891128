"""Finds passes through the entry-point group `graphlab.passes`: built-in ones come the way of anyone's."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.names import nearest
from graphlab.passes_base import Pass

GROUP = "graphlab.passes"


class PluginError(GraphlabError):
    """A plug-in that cannot be imported, or two that claim one name."""


@dataclass(frozen=True, slots=True)
class PassEntry:
    """A pass by name: its class and the distribution it comes from."""

    name: str
    kind: type[Pass]
    owner: str


@cache
def passes() -> dict[str, PassEntry]:
    """{pass name: PassEntry}, sorted; a name claimed twice raises PluginError naming both owners."""
    found: dict[str, PassEntry] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name, p.value)):
        owner = point.dist.name if point.dist is not None else point.value
        for kind in _classes(point):
            known = found.get(kind.name)
            if known is not None and known.kind is not kind:
                raise PluginError(f"pass {kind.name!r} is defined by {known.owner} and by {owner}")
            found[kind.name] = PassEntry(kind.name, kind, owner)
    return dict(sorted(found.items()))


def find_pass(name: str) -> type[Pass]:
    """The class of the pass `name`; UnknownNameError suggests the nearest."""
    known = passes()
    if name not in known:
        raise UnknownNameError(
            f"no pass is called {name!r}", hint=f"{nearest(name, known)}known: {', '.join(known) or 'none installed'}"
        )
    return known[name].kind


def _classes(point: EntryPoint) -> list[type[Pass]]:
    try:
        loaded = point.load()
    except Exception as error:  # a stranger's import can raise anything; it is named, and only this one fails
        raise PluginError(f"pass plug-in {point.name} ({point.value}) cannot be imported: {error}") from error
    if inspect.isclass(loaded) and issubclass(loaded, Pass):
        return [loaded]
    if not isinstance(loaded, ModuleType):
        raise PluginError(f"pass plug-in {point.name} ({point.value}) is neither a module nor a Pass class")
    modules = [loaded, *_submodules(loaded)]
    classes = [kind for module in modules for kind in vars(module).values() if _is_pass(kind, module)]
    return list(dict.fromkeys(classes))


def _submodules(package: ModuleType) -> list[ModuleType]:
    paths = getattr(package, "__path__", ())
    return [importlib.import_module(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(paths)]


def _is_pass(kind: object, module: ModuleType) -> bool:
    if not (inspect.isclass(kind) and issubclass(kind, Pass)):
        return False
    return kind.__module__ == module.__name__ and isinstance(getattr(kind, "name", None), str)
