"""Passes by name with their options: `fuse-attention,masked_rows=trust` to an instance, and back to text.

Backends are spelled the same way: what is said of a pass holds for any class with a `name` whose fields are options.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from graphlab.discovery.blame import blamed
from graphlab.discovery.chosen import Named, called_class, class_from
from graphlab.discovery.files import file_address
from graphlab.discovery.owner import PluginError
from graphlab.discovery.registry import Registry
from graphlab.discovery.spec import parse_spec
from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.names import nearest
from graphlab.passes_base import Pass
from graphlab.plugins import registry
from graphlab.report.decoding import SIGNED

T = TypeVar("T", bound=Named)


class OptionError(GraphlabError):
    """An option a pass does not have, or a value it does not take; says type, range and choices."""


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is a pass' option: its default, a line of help, and what values it takes."""
    limits = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices}
    return dataclasses.field(default=default, metadata=limits)


def required(help: str) -> Any:
    """A dataclass field that is an option without a default."""
    return dataclasses.field(metadata={"help": help})


def pass_from(spec: str) -> Pass:
    """The pass of "NAME[,KEY=VALUE]..." or "path/file.py:CLASS[,KEY=VALUE]...".

    UnknownNameError names the nearest pass, OptionError the option's type and range; PluginError for a file that
    holds no such pass, and for a pass that does not work.
    """
    return made_from(spec, registry(), Pass)


def own_pass_from(spec: str) -> Pass:
    """`pass_from` for graphlab's own use: its own passes, whoever else claims their names."""
    return made_from(spec, registry(), Pass, own=True)


def made_from(spec: str, known: Registry[type[T]], base: type[T], *, own: bool = False) -> T:
    """The instance of `base` that `spec` spells, its class one of `known` or of a file; errors as of `pass_from`.

    With `own` graphlab asks, not a user: a name of its own is its own, whoever else claims it.
    """
    kind = class_from(parse_spec(spec), known, base, own=own)
    return build(kind, split_spec(spec)[1], known)


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """(name, {key: value}) of "NAME[,KEY=VALUE]..."; OptionError for another syntax or a key given twice.

    The name of what is in a file is "path/file.py:CLASS".
    """
    parsed = parse_spec(spec)
    values: dict[str, str] = {}
    for setting in parsed.settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(f"{setting!r} in {spec!r} is not KEY=VALUE")
        if key.strip().replace("-", "_") in {known.replace("-", "_") for known in values}:
            raise OptionError(f"{key.strip()!r} is given twice in {spec!r}")
        values[key.strip()] = value.strip()
    return parsed.name, values


def build(kind: type[T], values: Mapping[str, Any], known: Registry[Any] | None = None) -> T:
    """An instance of `kind` with options `values`, texts or values of the right type.

    `known` are the plug-ins of its kind, passes without: errors say what it is and who it comes from.
    """
    who = called_class(kind, known if known is not None else registry())
    fields: dict[str, dataclasses.Field[Any]] = {}
    if dataclasses.is_dataclass(kind):
        fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    types = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in fields:
            hint = f"{nearest(key, fields)}options: {', '.join(fields)}" if fields else "it has no options"
            raise UnknownNameError(f"{who} has no option {name!r}", hint=hint)
        given[key] = _value(who, fields[key], types[key], value)
    for field in fields.values():
        if field.name not in given and field.default is field.default_factory is dataclasses.MISSING:
            raise OptionError(f"{who} needs {field.name}=...", hint=field.metadata.get("help"))
    try:
        with blamed(who, "cannot be made"):  # the checks of a stranger's __post_init__
            return kind(**given)
    except PluginError as error:
        raise OptionError(error.message, hint=error.hint) from error


@dataclasses.dataclass(frozen=True, slots=True)
class OptionHelp:
    """An option in words: the values it takes, its default (None where it must be given), what it is for.

    `type` is its type as Python writes it, `minimum`, `maximum` and `choices` what limits it.
    """

    name: str
    values: str
    default: str | None
    help: str
    type: str
    minimum: Annotated[float | None, SIGNED] = None
    maximum: Annotated[float | None, SIGNED] = None
    choices: tuple[str, ...] = ()


def options_of(kind: type[Named]) -> tuple[OptionHelp, ...]:
    """The options of `kind`, in the order of its fields."""
    if not dataclasses.is_dataclass(kind):
        return ()
    types = typing.get_type_hints(kind)
    return tuple(
        OptionHelp(
            field.name,
            _expected(field, types[field.name]),
            _default(field),
            field.metadata.get("help", ""),
            _type_text(types[field.name]),
            field.metadata.get("minimum"),
            field.metadata.get("maximum"),
            tuple(field.metadata.get("choices") or ()),
        )
        for field in dataclasses.fields(kind)
        if field.init
    )


def _type_text(kind: Any) -> str:
    return str(kind.__name__) if isinstance(kind, type) and typing.get_origin(kind) is None else str(kind)


def _default(field: dataclasses.Field[Any]) -> str | None:
    value = _given(field)
    if value is dataclasses.MISSING:
        return None
    if value is None or value == ():
        return "none"
    return str(value).lower() if isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    """`value` as one would write it."""
    if value is None:
        return "none"
    if isinstance(value, enum.Enum):
        return str(value.value)
    return "+".join(value) if isinstance(value, tuple) else str(value)


def _value(owner: str, field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    """`value` as the type of `field` of `owner` ("pass NAME"), within its limits."""
    expected = _expected(field, kind)
    try:
        parsed = _parsed(kind, value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise OptionError(f"{owner}: {field.name}={value} is not {expected}") from error
    limits = field.metadata
    low, high, choices = limits.get("minimum"), limits.get("maximum"), limits.get("choices") or ()
    numeric = isinstance(parsed, (int, float)) and not isinstance(parsed, bool)
    outside = numeric and ((low is not None and not parsed >= low) or (high is not None and not parsed <= high))
    if outside or (choices and parsed is not None and parsed not in choices):
        raise OptionError(f"{owner}: {field.name}={value} is not {expected}")
    return parsed


def _parsed(kind: Any, value: Any) -> Any:
    if typing.get_origin(kind) is tuple:
        return tuple(value.split("+")) if isinstance(value, str) else tuple(value)
    members = [item for item in typing.get_args(kind) if item is not type(None)]
    if members and (value is None or str(value).lower() == "none"):
        return None
    base = members[0] if members else kind
    if base is bool:
        if isinstance(value, bool):
            return value
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
    if isinstance(value, bool):
        raise ValueError(value)
    if base is Path:
        return Path(value)
    return base(value) if base is not int or not isinstance(value, float) else _integral(value)


def _integral(value: float) -> int:
    if value != int(value):
        raise ValueError(value)
    return int(value)


def _expected(field: dataclasses.Field[Any], kind: Any) -> str:
    """What values an option takes, in words."""
    limits = field.metadata
    if typing.get_origin(kind) is tuple:
        return "names joined by +"
    if limits.get("choices"):
        return f"one of {', '.join(limits['choices'])}"
    members = [item for item in typing.get_args(kind) if item is not type(None)]
    base = members[0] if members else kind
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return f"one of {', '.join(member.value for member in base)}"
    words = {bool: "true or false", int: "an integer", float: "a number", Path: "a path", str: "a text"}
    text = words.get(base, getattr(base, "__name__", str(base)))
    low, high = limits.get("minimum"), limits.get("maximum")
    if low is not None and high is not None:
        return f"{text} from {low} to {high}"
    if low is not None:
        return f"{text} of at least {low}"
    return f"{text} of at most {high}" if high is not None else text


def _given(field: dataclasses.Field[Any]) -> Any:
    """The default of `field`, MISSING without one."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def addressed(item: Named) -> str:
    """`spelled` in a way another process understands: a class of a user's file by that file."""
    address = file_address(type(item))
    return spelled(item) if address is None else address + spelled(item).removeprefix(item.name)


def spelled(item: Named) -> str:
    """`item` as one would write it: "NAME,KEY=VALUE" with the options that are not at their defaults."""
    if not dataclasses.is_dataclass(item):
        return item.name
    fields = dataclasses.fields(item)
    changed = [(f.name, getattr(item, f.name)) for f in fields if f.init and getattr(item, f.name) != _given(f)]
    return ",".join([item.name, *(f"{name}={_text(value)}" for name, value in changed)])
