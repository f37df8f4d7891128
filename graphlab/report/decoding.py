"""Values of JSON as the frozen dataclasses they were written from; keys that are new are passed over."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from graphlab.errors import GraphlabError

T = TypeVar("T")
SIGNED: Final = "signed"
"""In `Annotated[kind, SIGNED]`, the type of a field: its numbers may be below 0. Others count bytes, seconds, ..."""
SHARE: Final = "share"
"""Likewise, of a number from 0 to 1."""
ROUNDING: Final = 1e-9
"""What a sum of parts may be above its whole by."""
MOST: Final = 1e30
"""No count, and no number of bytes or seconds, is larger; sums and shares of smaller ones are finite."""

_WORDS: dict[Any, str] = {str: "text", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}


class ReportFileError(GraphlabError):
    """A saved report that cannot be read: no JSON, of another kind or version, or with other values than it has."""


def decode(kind: type[T], value: Any, where: str = "", names: Mapping[str, str] | None = None) -> T:
    """`value`, of JSON's types, as a `kind`: a dataclass of texts, numbers, tuples, mappings and dataclasses.

    Keys that the dataclass does not have are passed over, since a newer version may have added them; fields with a
    default may be missing. `names` {field: key} are those that JSON calls otherwise. `where` is the path of `value` in
    its file. ReportFileError names the path, what was expected there and what was found; numbers below 0 are expected
    in SIGNED fields alone, and none above 1 in a SHARE.
    """
    made: T = _decode(kind, value, where, _How(names or {}))
    return made


@dataclass(frozen=True, slots=True)
class _How:
    """What fields are called in JSON, and which numbers may be here: SIGNED ones, a SHARE, or any of at least 0."""

    names: Mapping[str, str]
    numbers: str = ""


def _decode(kind: Any, value: Any, where: str, how: _How) -> Any:
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin is Annotated:
        inner, mark = get_args(kind)
        return _decode(inner, value, where, replace(how, numbers=mark))
    if origin is Literal:
        return _literal(kind, value, where)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, where, how)
    if origin is tuple:
        return _tuple(get_args(kind), value, where, how)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(get_args(kind), value, where, how)
    if is_dataclass(kind):
        return _dataclass(kind, value, where, how)
    return _scalar(kind, value, where, how)


def _dataclass(kind: Any, value: Any, where: str, how: _How) -> Any:
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    found = {}
    hints = _hints(kind)
    for field in fields(kind):
        key = how.names.get(field.name, field.name)
        path = f"{where}.{key}" if where else key
        if key in value:
            found[field.name] = _decode(hints[field.name], value[key], path, how)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ReportFileError(f"{path} is missing", hint="write the report again with this version of graphlab")
    return kind(**found)


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _union(kinds: tuple[Any, ...], value: Any, where: str, how: _How) -> Any:
    """The first of `kinds` that `value` can be; the reason is that of the last where it can be none."""
    if value is None and type(None) in kinds:
        return None
    wanted = [kind for kind in kinds if kind is not type(None)]
    for kind in wanted[:-1]:
        try:
            return _decode(kind, value, where, how)
        except ReportFileError:
            continue
    return _decode(wanted[-1], value, where, how)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str, how: _How) -> Any:
    if not isinstance(value, list):
        raise _unexpected(where, "a list", value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode(kinds[0], item, f"{where}[{index}]", how) for index, item in enumerate(value))
    if len(value) != len(kinds):
        raise _unexpected(where, f"a list of {len(kinds)}", value)
    items = zip(kinds, value, strict=True)
    return tuple(_decode(kind, item, f"{where}[{index}]", how) for index, (kind, item) in enumerate(items))


def _mapping(kinds: tuple[Any, ...], value: Any, where: str, how: _How) -> Any:
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    return {key: _decode(kinds[1], item, f"{where}.{key}", how) for key, item in value.items()}


def _literal(kind: Any, value: Any, where: str) -> Any:
    if value not in get_args(kind):
        raise _unexpected(where, f"one of {', '.join(map(str, get_args(kind)))}", value)
    return value


def _scalar(kind: Any, value: Any, where: str, how: _How) -> Any:
    allowed: tuple[Callable[..., Any], ...] = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise _unexpected(where, _WORDS.get(kind, str(kind)), value)
    if kind in (int, float) and value < 0 and how.numbers != SIGNED:
        raise _unexpected(where, f"{_WORDS[kind]} of at least 0", value)
    if kind in (int, float) and abs(value) > MOST and value != math.inf:  # no JSON is infinite, but for what null means
        raise _unexpected(where, f"{_WORDS[kind]} of at most {MOST:g}", value)
    if how.numbers == SHARE and value > 1 + ROUNDING:
        raise _unexpected(where, "a share of at most 1", value)
    return value


def _unexpected(where: str, expected: str, value: Any) -> ReportFileError:
    kinds: dict[type, str] = {dict: "an object", list: "a list"}
    found = kinds.get(type(value), "null" if value is None else repr(value)[:60])
    return ReportFileError(f"{where or 'the report'} is {found}, expected {expected}")
