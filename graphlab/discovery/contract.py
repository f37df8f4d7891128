"""What a plug-in that is a class must be: why a class is none, in words."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
import types
import typing
from pathlib import Path
from typing import Any, ClassVar

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

    It has a `name`, no abstract method is left, and its options are fields of a dataclass of types that can be
    written as text.
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
    fault = _constructor_fault(kind, fields)
    if fault is not None:
        return fault
    wrong = next((name for name, field in fields.items() if field.init and not writable(hints.get(name))), None)
    return None if wrong is None else (
        f"its option {wrong} is of a type that cannot be written as text: bool, int, float, str, Path, an enum of "
        "texts, tuple[str, ...], or one of these or None"
    )  # fmt: skip


def _constructor_fault(kind: type, fields: typing.Mapping[str, Any]) -> str | None:
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
    return kind in (bool, int, float, str, Path) or issubclass(kind, enum.Enum)
