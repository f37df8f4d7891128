"""The class that a user's text names, and who a class comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from graphlab.discovery.classes import classes_in, place_of
from graphlab.discovery.contract import class_fault
from graphlab.discovery.files import file_address, file_attribute, file_module
from graphlab.discovery.owner import Owner, PluginError
from graphlab.discovery.registry import Registry
from graphlab.discovery.spec import Spec

T = TypeVar("T")


class Named(Protocol):
    """A plug-in that is a class: it has a name."""

    name: ClassVar[str]


def class_from(spec: Spec, known: Registry[type[T]], base: type[T], *, own: bool = False) -> type[T]:
    """The class that `spec` names: of `known` by name, or of the user's file, whose only one need not be named.

    With `own` graphlab asks, not a user (`Registry.own`). PluginError when the file cannot be imported, its class is
    none that derives from `base`, breaks the contract, or has the name of one of graphlab's own; errors of a name as
    of `Registry.find`.
    """
    if spec.path is None:
        return (known.own(spec.name) if own else known.find(spec.name)).value
    there = classes_in(file_module(spec.path), base)
    kind = file_attribute(spec.path, spec.member, "class") if spec.member else _only(spec.path, there, known, base)
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise PluginError(f"{spec.name} is no {known.noun}", hint=_what(there, known, base))
    fault = class_fault(kind)
    if fault is not None:
        raise PluginError(f"{known.noun} {spec.path}:{kind.__name__} does not work: {fault}")
    name: str = kind.name  # type: ignore[attr-defined]  # class_fault asked for it
    same = known.entries.get(name)
    if same is not None and same.owner.built_in and same.value is not kind:
        whose = f"the name of graphlab's own {known.noun}"
        hint = "give it a name of its own"
        raise PluginError(f"{spec.path}:{kind.__name__} is called {name!r}, {whose}", hint=hint)
    return kind


def _only(path: Path, there: Sequence[type], known: Registry[type[T]], base: type[T]) -> type:
    """The one class of the file at `path` that is meant; PluginError where there is none, or several."""
    if len(there) == 1:
        return there[0]
    if not there:
        raise PluginError(f"{path} holds no {known.noun}", hint=_what(there, known, base))
    names = [kind.__name__ for kind in there]
    raise PluginError(f"{path} holds {len(names)} {known.nouns}: {', '.join(names)}", hint=f"write {path}:{names[0]}")


def _what(there: Sequence[type], known: Registry[type[T]], base: type[T]) -> str:
    """What a plug-in of this kind is, and which classes of the file are some."""
    found = f"; it has: {', '.join(kind.__name__ for kind in there)}" if there else ""
    through = f", through {known.through}" if known.through else ""
    return f"a {known.noun} is a class that derives from {place_of(base)}{through}{found}"


def owner_of(kind: type[T], known: Registry[type[T]]) -> Owner | None:
    """Who the class `kind` comes from: a distribution of `known`, or a file; None for one defined on the spot."""
    address = file_address(kind)
    if address is not None:
        return Owner(address.rpartition(":")[0].replace("\\", "/").rpartition("/")[2])
    return next((item.owner for item in known.entries.values() if item.value is kind), None)


def is_own(kind: type[T], known: Registry[type[T]]) -> bool:
    """Whether the class `kind` is one of graphlab's, or was defined on the spot."""
    owner = owner_of(kind, known)
    return owner is None or owner.built_in


def called(item: Named, known: Registry[Any]) -> str:
    """What errors call `item`: by name, with the distribution or file it comes from where that is not graphlab."""
    return called_class(type(item), known)


def called_class(kind: type[Named], known: Registry[Any]) -> str:
    """What errors call something of the class `kind`."""
    who = f"{known.noun} {kind.name}"
    return who if is_own(kind, known) else f"{who} of {owner_of(kind, known)}"
