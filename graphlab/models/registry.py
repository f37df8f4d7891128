"""Finds the built-in models: every module of `graphlab.models` with a `MODELS` tuple contributes its own."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from graphlab.errors import UnknownNameError
from graphlab.names import nearest
from graphlab.workload import Workload


@dataclass(frozen=True, slots=True)
class Model:
    """A built-in model: its name, one line of help, what makes its Workload, and other names it answers to."""

    name: str
    help: str
    workload: Callable[[], Workload]
    aliases: tuple[str, ...] = ()
    kind: str = "text-to-image"


@cache
def models() -> dict[str, Model]:
    """{name: Model} of every built-in model, sorted by name."""
    import graphlab.models as package

    found: dict[str, Model] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for model in getattr(module, "MODELS", ()):
            if model.name in found:
                raise ValueError(f"model {model.name} is defined twice")
            found[model.name] = model
    return dict(sorted(found.items()))


def model_names() -> list[str]:
    """Names of the built-in models, sorted."""
    return list(models())


def find_model(name: str) -> Model:
    """The built-in model `name` (case and aliases forgiven); UnknownNameError suggests the nearest."""
    wanted = name.lower()
    for model in models().values():
        if wanted == model.name or wanted in model.aliases:
            return model
    known = [n for m in models().values() for n in (m.name, *m.aliases)]
    raise UnknownNameError(
        f"no built-in model is called {name!r} and no such file exists",
        hint=f"{nearest(wanted, known)}`graphlab models` lists them",
    )
