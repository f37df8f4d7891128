"""docs/commands.md: every command with its arguments, options, values and defaults, read from the functions behind."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from graphlab.cli.main import FAILURE, INTERRUPTED, OK, USAGE, app
from tests.docs.reference import WRITTEN, code, paragraph, prose, table


@dataclass(frozen=True, slots=True)
class Option:
    """An option or argument: how it is spelled, what it takes, what it does."""

    spellings: tuple[str, ...]
    dashed: bool
    required: bool
    values: str
    default: str
    help: str
    repeats: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what is typed after `graphlab`, the function behind it, what it takes."""

    name: str
    function: Callable[..., Any]
    options: tuple[Option, ...]


HEADS = ("argument or option", "values", "default", "what for")


def page() -> str:
    """The whole page."""
    assert app.registered_callback is not None
    root = app.registered_callback.callback
    assert root is not None
    head = [
        WRITTEN,
        "# Every command and option",
        "",
        *paragraph(
            "[cli.md](cli.md) says how they are meant; this is what `graphlab COMMAND --help` knows. "
            f"Exit codes ([cli.md](cli.md#exit-codes)): {OK} done, {FAILURE} an error, {USAGE} a wrong command line, "
            f"{INTERRUPTED} interrupted; where a command has more of them, its text says so."
        ),
        "",
        *table(HEADS, _rows(_options(root, typer.main.get_command(app)))),
    ]
    sections = [line for command in commands().values() for line in _section(command)]
    return "\n".join([*head, *sections]) + "\n"


@cache
def commands() -> dict[str, Command]:
    """{what is typed after `graphlab`: Command} of every command, those of groups too, in the order of `--help`."""
    return dict(_commands(app, typer.main.get_command(app), ""))


def options(command: Command) -> set[str]:
    """The spellings of every option of a command: {"--json", "-o", "--output"}."""
    return {word for option in command.options if option.dashed for word in option.spellings}


def _commands(group: typer.Typer, known: Any, prefix: str) -> Iterator[tuple[str, Command]]:
    for info in group.registered_commands:
        assert info.callback is not None
        name = info.name or info.callback.__name__.replace("_", "-")
        if not info.hidden:
            yield prefix + name, Command(prefix + name, info.callback, _options(info.callback, known.commands[name]))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        for name, found in known.commands.items():
            if name == inner.typer_instance.info.name or name == inner.name:
                yield from _commands(inner.typer_instance, found, f"{prefix}{name} ")


def _options(function: Callable[..., Any], known: Any) -> tuple[Option, ...]:
    """What a function's signature and the command made of it say of its options."""
    signature = inspect.signature(function, eval_str=True).parameters
    return tuple(_option(signature[item.name], item) for item in known.params if not getattr(item, "hidden", False))


def _option(parameter: inspect.Parameter, known: Any) -> Option:
    kind, *notes = typing.get_args(parameter.annotation)
    (info,) = (note for note in notes if isinstance(note, ArgumentInfo | OptionInfo))
    dashed = isinstance(info, OptionInfo)
    spellings = (*known.opts, *known.secondary_opts) if dashed else (info.metavar or parameter.name.upper(),)
    required = parameter.default is parameter.empty
    return Option(
        spellings, dashed, required, _values(info, kind), _default(parameter), info.help or "", _is_list(kind)
    )


def _section(command: Command) -> list[str]:
    body = ["", f"## graphlab {command.name}", "", prose(inspect.getdoc(command.function) or ""), ""]
    body += ["```text", f"graphlab {command.name} {' '.join(_usage(command))}".rstrip(), "```"]
    return [*body, "", *table(HEADS, _rows(command.options))] if command.options else body


def _usage(command: Command) -> Iterator[str]:
    for item in command.options:
        shown = item.spellings[0] if not item.dashed else f"{item.spellings[0]} {item.values.strip('`')}"
        if item.required or not item.dashed:
            many = "..." if item.repeats and not item.dashed and "..." not in shown else ""
            yield f"{shown}{many}" if item.required or shown.startswith("[") else f"[{shown}{many}]"
    if any(item.dashed and not item.required for item in command.options):
        yield "[OPTIONS]"


def _rows(items: Iterable[Option]) -> list[tuple[str, ...]]:
    rows = []
    for item in items:
        again = "; repeat" if item.repeats and item.dashed and "repeat" not in item.help else ""
        rows.append((", ".join(map(code, item.spellings)), item.values + again, item.default, prose(item.help)))
    return rows


def _inner(kind: Any) -> Any:
    """str of list[str] | None."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        (kind,) = (part for part in typing.get_args(kind) if part is not NoneType)
    return typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind


def _is_list(kind: Any) -> bool:
    parts = typing.get_args(kind) if typing.get_origin(kind) in (UnionType, typing.Union) else (kind,)
    return any(typing.get_origin(part) is list for part in parts)


def _values(info: ArgumentInfo | OptionInfo, kind: Any) -> str:
    inner = _inner(kind)
    if inner is bool:
        return "flag"
    if isinstance(inner, type) and issubclass(inner, Enum):
        return ", ".join(code(str(member.value)) for member in inner)
    shown = code(info.metavar or "") if isinstance(info, OptionInfo) else ""
    plain = {} if shown else {Path: "a path", str: "a text"}
    word = {int: "an integer", float: "a number", Path: "", str: "", **plain}[inner]
    return ", ".join(filter(None, (shown, word + _limits(info.min, info.max))))


def _limits(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    return f" of at most {high:g}" if high is not None else ""


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is parameter.empty:
        return "must be given"
    if default is None or default is False:
        return ""
    if default is True:
        return "on"
    return code(str(default.value if isinstance(default, Enum) else default))
