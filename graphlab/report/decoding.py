"""Values of JSON as the frozen dataclasses they were written from; keys that are new are passed over."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from graphlab.errors import GraphlabError

T = TypeVar("T")
_WORDS: dict[Any, str] = {str: "text", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}


class ReportFileError(GraphlabError):
    """A saved report that cannot be read: no JSON, of another kind or version, or with other values than it has."""


def decode(kind: type[T], value: Any, where: str = "", names: Mapping[str, str] | None = None) -> T:
    """`value`, of JSON's types, as a `kind`: a dataclass of texts, numbers, tuples, mappings and dataclasses.

    Keys that the dataclass does not have are passed over, since a newer version may have added them; fields with a
    default may be missing. `names` {field: key} are those that JSON calls otherwise. `where` is the path of `value` in
    its file. ReportFileError names the path, what was expected there and what was found.
    """
    made: T = _decode(kind, value, where, names or {})
    return made


def _decode(kind: Any, value: Any, where: str, names: Mapping[str, str]) -> Any:
    if kind is Any:
        return value
    origin = get_origin(kind)
    if origin is Literal:
        return _literal(kind, value, where)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, where, names)
    if origin is tuple:
        return _tuple(get_args(kind), value, where, names)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(get_args(kind), value, where, names)
    if is_dataclass(kind):
        return _dataclass(kind, value, where, names)
    return _scalar(kind, value, where)


def _dataclass(kind: Any, value: Any, where: str, names: Mapping[str, str]) -> Any:
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    found = {}
    hints = _hints(kind)
    for field in fields(kind):
        key = names.get(field.name, field.name)
        path = f"{where}.{key}" if where else key
        if key in value:
            found[field.name] = _decode(hints[field.name], value[key], path, names)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ReportFileError(f"{path} is missing", hint="write the report again with this version of graphlab")
    return kind(**found)


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _union(kinds: tuple[Any, ...], value: Any, where: str, names: Mapping[str, str]) -> Any:
    """The first of `kinds` that `value` can be; the reason is that of the last where it can be none."""
    if value is None and type(None) in kinds:
        return None
    wanted = [kind for kind in kinds if kind is not type(None)]
    for kind in wanted[:-1]:
        try:
            return _decode(kind, value, where, names)
        except ReportFileError:
            continue
    return _decode(wanted[-1], value, where, names)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str, names: Mapping[str, str]) -> Any:
    if not isinstance(value, list):
        raise _unexpected(where, "a list", value)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode(kinds[0], item, f"{where}[{index}]", names) for index, item in enumerate(value))
    if len(value) != len(kinds):
        raise _unexpected(where, f"a list of {len(kinds)}", value)
    items = zip(kinds, value, strict=True)
    return tuple(_decode(kind, item, f"{where}[{index}]", names) for index, (kind, item) in enumerate(items))


def _mapping(kinds: tuple[Any, ...], value: Any, where: str, names: Mapping[str, str]) -> Any:
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    return {key: _decode(kinds[1], item, f"{where}.{key}", names) for key, item in value.items()}


def _literal(kind: Any, value: Any, where: str) -> Any:
    if value not in get_args(kind):
        raise _unexpected(where, f"one of {', '.join(map(str, get_args(kind)))}", value)
    return value


def _scalar(kind: Any, value: Any, where: str) -> Any:
    allowed: tuple[Callable[..., Any], ...] = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise _unexpected(where, _WORDS.get(kind, str(kind)), value)
    return value


def _unexpected(where: str, expected: str, value: Any) -> ReportFileError:
    kinds: dict[type, str] = {dict: "an object", list: "a list"}
    found = kinds.get(type(value), "null" if value is None else repr(value)[:60])
    return ReportFileError(f"{where or 'the report'} is {found}, expected {expected}")
