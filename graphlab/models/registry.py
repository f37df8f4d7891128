"""Models by name: those built in, and those that the entry points of the group `graphlab.models` name.

A module with a `MODELS` tuple contributes its own, whoever it belongs to.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType

from graphlab.discovery.blame import blamed
from graphlab.discovery.classes import loaded, read, submodules
from graphlab.discovery.contract import name_fault
from graphlab.discovery.owner import GRAPHLAB, Owner, PluginError
from graphlab.discovery.points import Point, points
from graphlab.discovery.registry import Broken, Entry, Registry, registry_of
from graphlab.errors import UnknownNameError
from graphlab.names import nearest
from graphlab.sources.owned import owned
from graphlab.workload import Workload
from graphlab.workload_fault import workload_fault

GROUP = "graphlab.models"
NOUN = "model"


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its name, one line of help, what makes its Workload, and other names it answers to."""

    name: str
    help: str
    workload: Callable[[], Workload]
    aliases: tuple[str, ...] = ()
    kind: str = "text-to-image"


@cache
def registry() -> Registry[Model]:
    """Every model of graphlab and of installed distributions, by name and by its other names.

    An entry point names a module, or a package whose modules count too. What breaks the contract is `broken`.
    """
    claims: list[Entry[Model]] = []
    broken: list[Broken] = []
    for module in submodules(importlib.import_module("graphlab.models")):
        if isinstance(module, PluginError):
            raise module
        claims += [claim for m in getattr(module, "MODELS", ()) for claim in _claims(m, GRAPHLAB, module)]
    for point in points(GROUP):
        for found in read(point, lambda point: list(_found(point))):
            if isinstance(found, Broken):
                broken.append(found)
            else:
                claims += found
    made = registry_of(NOUN, claims, broken)
    assert len({claim.name for claim in claims if claim.owner is GRAPHLAB}) == sum(c.owner is GRAPHLAB for c in claims)
    entries = {name: replace(entry, value=_watched(entry)) for name, entry in made.entries.items()}
    return Registry(NOUN, entries, made.broken)


def models() -> dict[str, Model]:
    """{name: Model} of every model that can be named, sorted by name."""
    return {name: entry.value for name, entry in registry().entries.items() if name == entry.value.name}


def model_names() -> list[str]:
    """Names of the models, sorted."""
    return list(models())


def built_in_names() -> list[str]:
    """Names of graphlab's own models, sorted."""
    return [name for name in models() if registry().entries[name].owner.built_in]


def find_model(name: str) -> Model:
    """The model `name` (case and aliases forgiven).

    UnknownNameError suggests the nearest; PluginError says what is wrong with a model of a distribution.
    """
    known, wanted = registry(), name.lower()
    if wanted in known.entries or any(item.name.lower() == wanted for item in known.broken):
        return known.find(name, fold=True).value
    raise UnknownNameError(
        f"no built-in model is called {name!r} and no such file exists",
        hint=f"{nearest(wanted, known.entries)}{known.listed}",
    )


def _claims(model: Model, owner: Owner, module: ModuleType) -> Iterator[Entry[Model]]:
    for name in (model.name, *model.aliases):
        yield Entry(name, model, owner, module.__name__)


def _found(point: Point) -> Iterator[list[Entry[Model]] | Broken]:
    """The models of an entry point, and a Broken for each part of it that holds none or a wrong one."""
    try:
        item = loaded(point)
    except PluginError as error:
        yield Broken(point.name, point.owner, point.where, error.message)
        return
    if not isinstance(item, ModuleType):
        yield Broken(point.name, point.owner, point.where, "it is no module with a MODELS tuple")
        return
    empty = True
    for module in (item, *submodules(item)):
        if isinstance(module, PluginError):
            empty = False
            yield Broken(point.name, point.owner, point.where, module.message)
            continue
        listed = getattr(module, "MODELS", None)
        if listed is None:
            continue
        empty = False
        if not isinstance(listed, (tuple, list)):
            reason = f"its MODELS is a {type(listed).__name__}, not a tuple"
            yield Broken(point.name, point.owner, module.__name__, reason)
            continue
        for number, model in enumerate(listed):
            fault = _fault(model)
            if fault is None:
                yield list(_claims(model, point.owner, module))
                continue
            name = getattr(model, "name", None)
            where = f"{module.__name__}.MODELS[{number}]"
            yield Broken(name if isinstance(name, str) else point.name, point.owner, where, fault)
    if empty:
        yield Broken(point.name, point.owner, point.where, "it holds no model: no module has a MODELS tuple")


def _fault(model: object) -> str | None:
    """Why `model` does not keep the contract; None where it does."""
    if not isinstance(model, Model):
        return f"it is a {type(model).__name__}, not a graphlab.models.Model"
    if not isinstance(model.aliases, tuple):
        return f"its aliases are a {type(model.aliases).__name__}, not a tuple"
    for name in (model.name, *model.aliases):
        fault = name_fault(name)
        if fault is None and name != name.lower():
            fault = f"its name is {name!r}: models are called in lower case"
        if fault is not None:
            return fault
    if not callable(model.workload):
        return f"its workload is a {type(model.workload).__name__}, not a function that returns a Workload"
    if not (isinstance(model.help, str) and isinstance(model.kind, str)):
        return "its help and its kind are no texts"
    return None


def _watched(entry: Entry[Model]) -> Model:
    """The model, checked when its workload is made where it is a stranger's."""
    if entry.owner.built_in:
        return entry.value
    return replace(entry.value, workload=_Checked(entry.value, entry.owner, entry.where))


@dataclass(frozen=True, slots=True)
class _Checked:
    """What makes the workload of a stranger's model, and says whose it is when that goes wrong.

    `where` is the module that lists the model.
    """

    model: Model
    owner: Owner
    where: str

    def __call__(self) -> Workload:
        """The workload; captures of it are kept apart from those of other distributions, versions and code."""
        who = f"{NOUN} {self.model.name} of {self.owner}"
        with redirect_stdout(sys.stderr), blamed(who, "cannot be made"):
            made: object = self.model.workload()
        fault = workload_fault(made)
        if fault is not None:
            raise PluginError(f"{who}: {fault}")
        assert isinstance(made, Workload)
        return owned(made, who, self.where)
