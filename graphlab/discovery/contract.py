"""What a plug-in that is a class must be: why a class is none, in words."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from graphlab.discovery.blame import contained
from graphlab.discovery.owner import reason_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names that can be written in "NAME,KEY=VALUE", and are no path."""

NAME_WORDS = "letters, digits, '-', '_' and '.', beginning with a letter or a digit"


def name_fault(name: object) -> str | None:
    """Why `name` cannot be a plug-in's; None where it can."""
    if not isinstance(name, str):
        return f"its name is {name!r}, not a text"
    if not NAME.fullmatch(name) or name.endswith(".py"):
        return f"its name is {name!r}, which nobody could write: {NAME_WORDS}"
    return None


def class_fault(kind: type) -> str | None:
    """Why the class `kind` does not keep the contract of plug-ins; None where it does.

    It has a `name`, no abstract method is left, and its options are fields of a frozen dataclass, of types that can be
    written as text, with defaults of those types.
    """
    if not hasattr(kind, "name"):
        return 'it has no name: `name: ClassVar[str] = "my-name"`'
    if dataclasses.is_dataclass(kind) and any(field.name == "name" for field in dataclasses.fields(kind)):
        return "its name is an option: annotate it as ClassVar[str]"
    fault = name_fault(kind.name)
    if fault is not None:
        return fault
    missing = sorted(getattr(kind, "__abstractmethods__", ()))
    if missing:
        return f"it does not define {', '.join(missing)}"
    return _options_fault(kind)


def _options_fault(kind: type) -> str | None:
    try:
        hints = typing.get_type_hints(kind)
    except Exception as error:  # names that are only imported for type checkers, and what else an annotation holds
        return f"its annotations cannot be read: {type(error).__name__}: {error}"
    fields = {field.name: field for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    annotated = [name for name in vars(kind).get("__annotations__", {}) if not _is_class_variable(hints.get(name))]
    left = [name for name, value in vars(kind).items() if isinstance(value, dataclasses.Field)]
    lost = next((name for name in (*annotated, *left) if name not in fields), None)
    if lost is not None:
        return f"its option {lost} is no field of a dataclass: decorate the class with @dataclass(frozen=True)"
    if fields and not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # every dataclass has them
        return "its options can change while it runs: decorate the class with @dataclass(frozen=True)"
    faults = (_option_fault(field, hints.get(name)) for name, field in fields.items() if field.init)
    return _constructor_fault(kind, fields) or next(filter(None, faults), None) or _variable_fault(kind, hints)


def _option_fault(field: dataclasses.Field[Any], kind: Any) -> str | None:
    if not writable(kind):
        return (
            f"its option {field.name} is of a type that cannot be written as text: bool, int, float, str, Path, an "
            "enum of texts, tuple[str, ...], or one of these or None"
        )
    limits, choices = field.metadata, field.metadata.get("choices") or ()
    if not isinstance(limits.get("help", ""), str):
        return f"the help of its option {field.name} is a {type(limits['help']).__name__}, not a text"
    if not isinstance(choices, (tuple, list)) or not all(isinstance(choice, str) for choice in choices):
        return f"the choices of its option {field.name} are no texts"
    for key in ("minimum", "maximum"):
        if not (limits.get(key) is None or _holds(float, limits[key])):
            return f"the {key} of its option {field.name} is {limits[key]!r}, not a number"
    try:
        with contained():
            value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    except Exception as error:  # a stranger's function
        return f"the default of its option {field.name} cannot be made: {reason_of(error)}"
    if value is not dataclasses.MISSING and not _holds(kind, value):
        return f"the default of its option {field.name} is a {type(value).__name__}, which its type does not allow"
    return None


def _variable_fault(kind: type, hints: Mapping[str, Any]) -> str | None:
    """Why a class variable that graphlab reads (`exact`, `sized`, `why`) is not of the type it has there."""
    for name, hint in hints.items():
        wanted = typing.get_args(hint)[:1] if typing.get_origin(hint) is ClassVar else ()
        value = inspect.getattr_static(kind, name, None)
        if wanted and wanted[0] in (bool, str) and value is not None and not isinstance(value, wanted[0]):
            return f"its {name} is {value!r}, not a {wanted[0].__name__}"
    return None


def _holds(kind: Any, value: object) -> bool:
    """Whether `value` is of the type `kind`, one that can be written."""
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return value is None or any(_holds(item, value) for item in typing.get_args(kind) if item is not type(None))
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    return isinstance(value, {float: (int, float), Path: (str, Path)}.get(kind, kind))


def _constructor_fault(kind: type, fields: Mapping[str, Any]) -> str | None:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (ValueError, TypeError):  # a constructor written in C
        return None
    fixed = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    extra = next((p.name for p in fixed if p.name not in fields), None)
    return None if extra is None else f"its constructor takes {extra}, which is no field of a dataclass"


def _is_class_variable(kind: Any) -> bool:
    return kind is ClassVar or typing.get_origin(kind) is ClassVar


def writable(kind: Any) -> bool:
    """Whether a value of the type `kind` can be written in "KEY=VALUE"."""
    if typing.get_origin(kind) is tuple:
        return typing.get_args(kind) == (str, ...)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = [item for item in typing.get_args(kind) if item is not type(None)]
        return len(members) == 1 and writable(members[0])
    if not isinstance(kind, type) or typing.get_origin(kind) is not None:
        return False
    if issubclass(kind, enum.Enum):
        return all(isinstance(member.value, str) for member in kind)
    return kind in (bool, int, float, str, Path)
