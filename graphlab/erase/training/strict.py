"""Mappings of a file to frozen dataclasses and back: every key known, every value of its type."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from graphlab.erase.errors import EraseError
from graphlab.names import nearest

T = TypeVar("T")
MOST = 2**63 - 1
"""The largest whole number that is read: sizes and seeds beyond it do not fit torch."""


def read(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """The dataclass `kind` of `values`, nested ones of nested mappings; what is not given keeps its default.

    Whole numbers do for floats, and "inf" and "-inf", which JSON cannot write. EraseError, which names the key, for one
    that is unknown, missing, of another type, or refused by the dataclass itself.
    """
    if not isinstance(values, Mapping):
        raise EraseError(f"{where or 'the configuration'} is {values!r}, expected keys with values")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    for key in values:
        if key not in fields:
            raise EraseError(f"{_at(where, str(key))} is not known", hint=nearest(str(key), fields) or None)
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise EraseError(f"{_at(where, name)} is missing")
    return kind(**{key: _value(hints[key], value, _at(where, key)) for key, value in values.items()})


def plain(value: Any) -> Any:
    """`value`, a dataclass or what is in one, as JSON can write it; `read` reads it back to the same value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value in choices and type(value) in map(type, choices):
            return value
        raise EraseError(f"{where} is {value!r}", hint=f"known: {', '.join(map(str, choices))}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in choices:
            return None
        (hint,) = (choice for choice in choices if choice is not type(None))
        return _value(hint, value, where)
    if origin is tuple:
        return _items(choices, value, where)
    if dataclasses.is_dataclass(hint):
        return value if type(value) is hint else read(typing.cast("type[Any]", hint), value, where)
    return _scalar(hint, value, where)


def _items(choices: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise EraseError(f"{where} is {value!r}, expected a list")
    kinds = [choices[0]] * len(value) if choices[-1] is Ellipsis else list(choices)
    if len(kinds) != len(value):
        raise EraseError(f"{where} has {len(value)} items, expected {len(kinds)}")
    return tuple(_value(kind, item, f"{where}[{at}]") for at, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _scalar(hint: type, value: Any, where: str) -> Any:
    if type(value) is int and abs(value) > MOST:
        raise EraseError(f"{where} is beyond {MOST:,}, the largest number that can be counted with")
    if hint is float and type(value) in (int, float):
        if math.isnan(value):
            raise EraseError(f"{where} is no number")
        return float(value)
    if hint is float and value in ("inf", "-inf"):
        return float(value)
    if type(value) is not hint:
        raise EraseError(f"{where} is {value!r}, expected {hint.__name__}")
    return value
