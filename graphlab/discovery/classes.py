"""Plug-ins that are classes (passes, backends): those that an entry point names, each checked by itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from types import ModuleType
from typing import TypeGuard, TypeVar

from graphlab.discovery.blame import contained
from graphlab.discovery.contract import class_fault
from graphlab.discovery.owner import PluginError, reason_of
from graphlab.discovery.points import Point, points
from graphlab.discovery.registry import Broken, Entry, Registry, registry_of

T = TypeVar("T")
R = TypeVar("R")


def class_registry(group: str, base: type[T], noun: str) -> Registry[type[T]]:
    """The classes derived from `base` that the entry points of `group` name.

    An entry point is a class, or a module or package whose classes (and those of its modules) count. Abstract and
    private classes without a name are bases of others and no plug-ins. Nothing raises: what cannot be imported or
    breaks the contract is `broken` of the result.
    """
    claims: list[Entry[type[T]]] = []
    broken: list[Broken] = []
    for point in points(group):
        for found in read(point, lambda point: [_judged(point, item) for item in _found(point, base, noun)]):
            (broken if isinstance(found, Broken) else claims).append(found)  # type: ignore[arg-type]  # either is a list
    return registry_of(noun, claims, broken)


def _judged(point: Point, found: type[T] | Broken) -> Entry[type[T]] | Broken:
    """The class `found` by its name, or why it does not work."""
    if isinstance(found, Broken):
        return found
    fault, where, name = class_fault(found), place_of(found), getattr(found, "name", None)
    if fault is None:
        return Entry(str(name), found, point.owner, where)
    return Broken(name if isinstance(name, str) else found.__name__, point.owner, where, fault)


def read(point: Point, look: Callable[[Point], Sequence[R]]) -> Sequence[R | Broken]:
    """What `look` finds at an entry point; a Broken alone where looking raises, as modules and classes can."""
    try:
        with contained():
            return look(point)
    except Exception as error:  # a module's __getattr__, a metaclass
        return [Broken(point.name, point.owner, point.where, f"it cannot be read: {reason_of(error)}")]


def place_of(kind: type) -> str:
    """Where a class is defined: "module.Class"."""
    return f"{kind.__module__}.{kind.__qualname__}"


def loaded(point: Point) -> object:
    """What an entry point names; PluginError, with the reason alone, when it cannot be imported."""
    if point.entry is None:
        raise PluginError(point.error)
    return _imported(point.entry.load)


def submodules(package: ModuleType) -> Iterator[ModuleType | PluginError]:
    """The modules of a package, sorted; a PluginError that names the module for each that cannot be imported."""
    names = sorted(info.name for info in pkgutil.iter_modules(getattr(package, "__path__", ())))
    for name in names:
        if name == "__main__":  # importing it would run it
            continue
        whole = f"{package.__name__}.{name}"
        try:
            module = _imported(partial(importlib.import_module, whole))
        except PluginError as error:
            yield PluginError(f"{whole}: {error.message}")
            continue
        if isinstance(module, ModuleType):
            yield module


def _imported(load: Callable[[], object]) -> object:
    try:
        with redirect_stdout(sys.stderr), contained():  # standard output is the report's
            return load()
    except Exception as error:  # a stranger's import can raise anything
        raise PluginError(f"it cannot be imported: {reason_of(error)}") from error


def _found(point: Point, base: type[T], noun: str) -> Iterator[type[T] | Broken]:
    """The classes of `point`, and a Broken for each part of it that holds none or cannot be imported."""
    try:
        item = loaded(point)
    except PluginError as error:
        yield Broken(point.name, point.owner, point.where, error.message)
        return
    if inspect.isclass(item) and issubclass(item, base):
        yield item
        return
    if not isinstance(item, ModuleType):
        reason = f"it is neither a module nor a class that derives from {place_of(base)}"
        yield Broken(point.name, point.owner, point.where, reason)
        return
    empty = True
    for module in (item, *submodules(item)):
        if isinstance(module, PluginError):
            empty = False
            yield Broken(point.name, point.owner, point.where, module.message)
            continue
        kinds = classes_in(module, base)
        empty = empty and not kinds
        yield from kinds
    if empty:
        yield Broken(
            point.name, point.owner, point.where, f"it holds no {noun}: no class derives from {place_of(base)}"
        )


def classes_in(module: ModuleType, base: type[T]) -> list[type[T]]:
    """The classes derived from `base` that are defined in `module` and meant as plug-ins, working or not, in order."""
    kinds = dict.fromkeys(kind for kind in vars(module).values() if inspect.isclass(kind))
    return [kind for kind in kinds if _is_meant(kind, base, module)]


def _is_meant(kind: type, base: type[T], module: ModuleType) -> TypeGuard[type[T]]:
    """Whether `kind` is defined in `module` and meant as a plug-in, working or not."""
    if not (issubclass(kind, base) and kind.__module__ == module.__name__):
        return False
    own_name = isinstance(getattr(kind, "name", None), str) or "name" in vars(kind)
    return own_name or not (inspect.isabstract(kind) or kind.__name__.startswith("_"))
