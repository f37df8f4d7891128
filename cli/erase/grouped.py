"""Options that a command takes together: the fields of a dataclass, in the place of one parameter."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

GIVEN = "given"


def with_options(kind: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a command of a function that takes the dataclass `kind` as `given`: every field of it, with its annotation
    and default, is a parameter of the command."""

    def command_of(function: Callable[..., None]) -> Callable[..., None]:
        parameters = list(_parameters(function, kind))

        @functools.wraps(function)
        def command(**values: Any) -> None:
            given = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
            function(**{GIVEN: given}, **values)

        signature = inspect.Signature(parameters)
        command.__signature__ = signature  # type: ignore[attr-defined]  # where inspect, and so typer, looks first
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return command_of


def _parameters(function: Callable[..., None], kind: type[Any]) -> Iterator[inspect.Parameter]:
    """The function's own parameters, with the fields of `kind` where GIVEN stands; all of them by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for name, own in inspect.signature(function, eval_str=True).parameters.items():
        if name != GIVEN:
            yield own.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        for field in fields(kind):
            yield inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
