"""docs/api.md: every public name of the package `graphlab`, from signatures and docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import graphlab
from tests.docs.reference import WRITTEN, paragraph, prose

WIDTH = 100


def page() -> str:
    """The whole page."""
    head = [
        WRITTEN,
        "# Python names",
        "",
        *paragraph(
            "The names of the package `graphlab`. [python.md](python.md) shows them at work; whatever a user can cause "
            "raises a `graphlab.GraphlabError`. Importing the package imports neither torch nor a model library."
        ),
    ]
    kinds = {name: getattr(graphlab, name) for name in sorted(graphlab.__all__)}
    functions = [line for name, item in kinds.items() if not inspect.isclass(item) for line in _function(name, item)]
    classes = [line for name, item in kinds.items() if inspect.isclass(item) for line in _class(name, item)]
    return "\n".join([*head, "", "## Functions", *functions, "", "## Classes", *classes]) + "\n"


def _function(name: str, function: Callable[..., Any]) -> list[str]:
    return ["", f"### {name}", "", *_signature(f"graphlab.{name}", function), "", *_text(function)]


def _class(name: str, kind: type[Any]) -> list[str]:
    lines = ["", f"### {name}", "", *_text(kind)]
    if dataclasses.is_dataclass(kind):
        lines += ["", "```python", *(_field(item) for item in dataclasses.fields(kind)), "```"]
    for member, value in _members(kind):
        if isinstance(value, property):
            lines += ["", f"`.{member}`: {' '.join(_text(value))}"]
        else:
            lines += ["", *_signature(f"{name}.{member}", value), "", *_text(value)]
    return lines


def _field(item: dataclasses.Field[Any]) -> str:
    kind = item.type if isinstance(item.type, str) else item.type.__name__
    if item.default is not dataclasses.MISSING:
        return f"{item.name}: {kind} = {_default(item.default)}"
    return f"{item.name}: {kind}{' = ...' if item.default_factory is not dataclasses.MISSING else ''}"


def _members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """(name, property or function) of what the class itself defines and documents, in the order of the file."""
    for name, value in vars(kind).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        shown = isinstance(function, property) or inspect.isfunction(function)
        if shown and not name.startswith("_"):
            yield name, function


def _signature(name: str, function: Callable[..., Any]) -> list[str]:
    signature = inspect.signature(function)
    words = list(_parameters(signature))
    result = "" if signature.return_annotation is signature.empty else f" -> {_name(signature.return_annotation)}"
    line = f"{name}({', '.join(words)}){result}"
    if len(line) <= WIDTH:
        return ["```python", line, "```"]
    return ["```python", f"{name}(", *(f"    {word}," for word in words), f"){result}", "```"]


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for item in signature.parameters.values():
        if item.name == "self":
            continue
        if item.kind is item.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        stars = {item.VAR_POSITIONAL: "*", item.VAR_KEYWORD: "**"}.get(item.kind, "")
        starred = starred or item.kind is item.VAR_POSITIONAL
        kind = "" if item.annotation is item.empty else f": {_name(item.annotation)}"
        default = "" if item.default is item.empty else f"{' = ' if kind else '='}{_default(item.default)}"
        yield f"{stars}{item.name}{kind}{default}"


def _name(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default(value: Any) -> str:
    # Quoted as the formatter quotes, which reads the blocks of pages, too.
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    return "..." if " at 0x" in text or len(text) > WIDTH else text


def _text(item: Any) -> list[str]:
    return prose(inspect.getdoc(item) or "").splitlines()
