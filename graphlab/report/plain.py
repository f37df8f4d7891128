"""Facts of any analysis as JSON values: what a report can hold and a file can store."""

from __future__ import annotations

import dataclasses
import enum
import math
import numbers
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

DEEPEST = 32
"""Levels of containers that are followed; what is deeper holds itself, or is no fact."""


class NoFactError(ValueError):
    """A value that is no fact: the message says which, and where in the whole it is."""


def plain(value: Any, where: str = "") -> Any:
    """`value` as None, bool, int, float, str, or lists and dictionaries of them.

    Dataclasses become dictionaries of their fields, mappings dictionaries in their own order, sets sorted lists,
    enums their values, numbers of any library Python's, sympy's expressions texts. A number that JSON has no word for
    is a text: "nan", "inf", "-inf". NoFactError for anything else (a tensor, a function, an object), for keys that are
    no texts or numbers, and for two keys that are the same text.
    """
    return _plain(value, where, 0)


def _plain(value: Any, where: str, depth: int) -> Any:
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return _plain(value.value, where, depth + 1)
    if isinstance(value, numbers.Integral):  # numpy's and sympy's, too
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else str(float(value))
    if depth > DEEPEST:
        raise NoFactError(f"{where or 'it'} is nested more than {DEEPEST} deep")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if not field.name.startswith("_")]
        return {f.name: _plain(getattr(value, f.name), _inside(where, f.name), depth + 1) for f in fields}
    if isinstance(value, Mapping):
        return _mapping(value, where, depth)
    if isinstance(value, Set):
        return sorted((_plain(item, where, depth + 1) for item in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, PurePath) or type(value).__module__.split(".")[0] == "sympy":
        return str(value)
    raise NoFactError(f"{where or 'it'} is a {type(value).__name__}")


def _mapping(value: Mapping[Any, Any], where: str, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(key, enum.Enum):
            key = key.value
        if not isinstance(key, (str, int, float)):
            raise NoFactError(f"a key of {where or 'it'} is a {type(key).__name__}")
        text = str(key)
        if text in made:
            raise NoFactError(f"two keys of {where or 'it'} are written {text!r}")
        made[text] = _plain(item, _inside(where, text), depth + 1)
    return made


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
