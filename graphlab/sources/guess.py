"""What the recognisers of model families share: the keys they read, the guess they make, shipped configurations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, TypeAlias

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.spellings import Shape, Shapes
from graphlab.sources.tensors import TensorMeta

Config: TypeAlias = dict[str, Any]
CONFIG_HINT = "pass --config config.json of the model"


@dataclass(frozen=True, slots=True)
class Shipped:
    """One configuration that graphlab ships, and where it was published."""

    name: str
    class_name: str
    config: Config
    source: str


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and configuration that a file's keys suggest; nothing is believed before every key is compared.

    `spell` turns the class's {key: shape} into what the file must hold; `optional` matches keys that a file
    may have or lack without meaning anything (position ids, tied copies).
    """

    class_name: str
    config: Config
    spelling: str
    spell: Callable[[Shapes], Mapping[str, Shape]]
    name: str = ""
    assumptions: tuple[str, ...] = ()
    optional: str = r"$^"


@dataclass(frozen=True, slots=True)
class Keys:
    """The tensors of one component, asked by recognisers; `what` names it in messages."""

    tensors: Mapping[str, TensorMeta]
    what: str

    def __contains__(self, key: str) -> bool:
        return key in self.tensors

    def shape(self, key: str) -> Shape:
        """The shape of `key`; UnknownArchitectureError when it is missing or packed beyond reading."""
        meta = self.tensors.get(key)
        if meta is None:
            raise UnknownArchitectureError(f"{self.what} lacks {key}, which its other keys call for", hint=CONFIG_HINT)
        if meta.packed:
            raise UnknownArchitectureError(
                f"{self.what}: {key} is quantised to four bits ({meta.nbytes} bytes), which hides its shape",
                hint=CONFIG_HINT,
            )
        return meta.shape

    def dim(self, key: str, axis: int) -> int:
        """Size of `key` along `axis`, counted from the front."""
        shape = self.shape(key)
        if axis >= len(shape):
            raise UnknownArchitectureError(
                f"{self.what}: {key} has shape {list(shape)}, too few axes", hint=CONFIG_HINT
            )
        return shape[axis]

    def count(self, pattern: str) -> int:
        """One more than the largest number that the first group of `pattern` matches at the start of a key."""
        compiled = re.compile(pattern)
        numbers = [int(match[1]) for key in self.tensors if (match := compiled.match(key))]
        return max(numbers, default=-1) + 1

    def any(self, pattern: str) -> bool:
        """Whether `pattern` is found in a key."""
        compiled = re.compile(pattern)
        return any(compiled.search(key) for key in self.tensors)


@lru_cache(maxsize=1)
def shipped() -> tuple[Shipped, ...]:
    """Every configuration in graphlab/sources/configs, in the order of the files."""
    folder = resources.files("graphlab.sources") / "configs"
    found: list[Shipped] = []
    for file in sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda e: e.name):
        document = json.loads(file.read_text(encoding="utf-8"))
        found += [
            Shipped(entry["name"], document["class_name"], entry["config"], entry["source"])
            for entry in document["configurations"]
        ]
    return tuple(found)


def settle(class_name: str, derived: Config, loose: tuple[str, ...] = ()) -> tuple[Config, str, tuple[str, ...]] | None:
    """(configuration, name, assumptions) of the shipped configurations that agree with what shapes told.

    Keys in `loose` need not agree: a model widened at its input is still its family. Where several agree,
    the first is taken and the others are named in the assumptions. None where none agrees.
    """
    of_class = [item for item in shipped() if item.class_name == class_name]
    fits = [item for item in of_class if _agrees(item.config, derived, ())]
    fits = fits or [item for item in of_class if _agrees(item.config, derived, loose)]
    if not fits:
        return None
    first = fits[0]
    told = {key: first.config[key] for key in first.config if key not in derived}
    notes = [f"not told by shapes, taken from {first.name}: {_listed(told)}"] if told else []
    for other in fits[1:]:
        differing = {key: value for key, value in other.config.items() if value != first.config.get(key)}
        notes.append(f"the shapes also fit {other.name}, with {_listed(differing)}")
    changed = [f"{key} {derived[key]}" for key in loose if key in derived and derived[key] != first.config.get(key)]
    notes += [f"unlike {first.name}, as the shapes tell: {', '.join(changed)}"] if changed else []
    return {**first.config, **derived}, first.name, tuple(notes)


def _agrees(config: Config, derived: Config, loose: tuple[str, ...]) -> bool:
    return all(config.get(key) == value for key, value in derived.items() if key not in loose)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) or "no difference in configuration"


@lru_cache(maxsize=32)
def _built(class_name: str, config: str) -> Mapping[str, Shape]:
    import torch

    values = json.loads(config)
    with torch.device("meta"):
        module = _construct(class_name, values)
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def class_shapes(class_name: str, config: Mapping[str, Any]) -> Mapping[str, Shape]:
    """{key: shape} of the class under `config`, built without memory; UnknownArchitectureError when it cannot be."""
    values = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        return _built(class_name, json.dumps(values, sort_keys=True, default=str))
    except UnknownArchitectureError:
        raise
    except Exception as error:  # a constructor raises whatever an impossible configuration leads to
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise UnknownArchitectureError(f"{class_name} cannot be built from this configuration ({detail})") from error


def _construct(class_name: str, config: Config) -> Any:
    import diffusers
    import transformers

    if not class_name.isidentifier() or class_name.startswith("_"):
        raise UnknownArchitectureError(f"{class_name!r} is no class name")
    for library in (diffusers, transformers):
        found: Any = getattr(library, class_name, None)
        if library is diffusers and hasattr(found, "from_config"):
            return found.from_config(config)
        if getattr(found, "config_class", None) is not None:
            return found(found.config_class.from_dict(config))
    raise UnknownArchitectureError(f"neither diffusers nor transformers has a model class {class_name}")
