"""Typed access to a report's JSON: every message names the entry by its path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.diff_data import Number

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of the JSON of `label` and its path: "stages[0].flops_total"."""

    value: Any
    label: str
    path: str = ""

    def wrong(self, expected: str) -> ReportFileError:
        """The error that this entry is not what belongs here."""
        shown = repr(self.value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        return ReportFileError(
            f"{self.label}: {self.path or 'the report'}: expected {expected}, got {shown}",
            hint="write the report again",
        )

    def __getitem__(self, key: str) -> Entry:
        """The entry `key` of an object; ReportFileError where there is none."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        path = f"{self.path}.{key}" if self.path else key
        if key not in self.value:
            raise ReportFileError(f"{self.label}: {path} is missing", hint="write the report again")
        return Entry(self.value[key], self.label, path)

    def items(self) -> Iterator[tuple[str, Entry]]:
        """(key, entry) of an object, in its order."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return ((str(key), self[str(key)]) for key in self.value)

    def each(self) -> Iterator[Entry]:
        """The entries of a list."""
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return (Entry(item, self.label, f"{self.path}[{index}]") for index, item in enumerate(self.value))

    def has(self, key: str) -> bool:
        """Whether it is an object with an entry `key`."""
        return isinstance(self.value, dict) and key in self.value

    def named(self, name: str | None) -> list[Entry]:
        """The objects of a list that are called `name`; all of them for None."""
        return [item for item in self.each() if name in (None, item["name"].text())]

    def decoded(self, kind: type[T], names: Mapping[str, str] | None = None) -> T:
        """The entry as the dataclass, or the tuple of them, that wrote it; `names` {field: key} where they differ."""
        return decode(kind, self.value, f"{self.label}: {self.path}", names)

    def text(self) -> str:
        """The entry, which is a text."""
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return self.value

    def flag(self) -> bool:
        """The entry, which is true or false."""
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def number(self) -> Number:
        """The entry, which is a finite number of at least 0: all of a report's are counts, bytes or seconds."""
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.wrong("a number")
        if (isinstance(self.value, float) and not math.isfinite(self.value)) or self.value < 0:
            raise self.wrong("a number of at least 0")
        return self.value

    def whole(self) -> int:
        """The entry, which is an integer of at least 0."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or self.value < 0:
            raise self.wrong("an integer of at least 0")
        return self.value

    def maybe(self, read: Callable[[Entry], T]) -> T | None:
        """`read` of the entry, or None where it is null: unknown."""
        return None if self.value is None else read(self)

    def settings(self) -> dict[str, str]:
        """Every entry of an object as a setting."""
        return {key: item.shown() for key, item in self.items()}

    def shown(self) -> str:
        """A setting as one writes it: text as it is, null as a dash, anything else as JSON has it."""
        if self.value is None:
            return "-"
        if isinstance(self.value, str):
            return self.value
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, (int, float)):
            return f"{self.value:g}" if isinstance(self.value, float) else str(self.value)
        if isinstance(self.value, list):
            return ", ".join(item.shown() for item in self.each()) or "none"
        return ", ".join(f"{key}={text}" for key, text in self.settings().items()) or "none"
