"""The grammar of `--fail-if`: "unet.attention.flops > +1%" as a Rule, or an error that says where it goes wrong.

    rule     = { step "." } quantity operator number
    step     = [ kind ":" ] name          kind = stage, model, category, role, op, module, candidate, program
    name     = letters, digits, "_" and "-", or anything in quotes
    operator = > >= < <= == !=
    number   = [ "+" | "-" ] digits [ "%" | unit ]

With "%" the number is the relative change of b against a; with a sign and no "%" the absolute one; without either it is
a level that b is held to.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NoReturn

from graphlab.diffing.errors import RuleError
from graphlab.diffing.quantities import ALIASES, BY_NAME
from graphlab.names import nearest
from graphlab.units import SCALES

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
KINDS = ("stage", "model", "category", "role", "op", "module", "candidate", "program")

_NAME = re.compile(r"[^\W\d][\w-]*|\"[^\"]*\"|'[^']*'")
_OPERATOR = re.compile(r">=|<=|==|!=|>|<")
_NUMBER = re.compile(r"([+-]?)([0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+)")
_UNIT = re.compile(r"%|[A-Za-z]+")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Step:
    """One name on the way to a quantity; `kind` is None where it is told from the name."""

    kind: str | None
    name: str

    def __str__(self) -> str:
        """As one would write it."""
        name = self.name if _NAME.fullmatch(self.name) else repr(self.name)
        return f"{self.kind}:{name}" if self.kind is not None else name


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that fails where it is true. `limit` is in base units, or a share for `mode` "relative".

    `alias` is the one of ALIASES that it calls its `quantity` by, "" for none.
    """

    text: str
    steps: tuple[Step, ...]
    quantity: str
    operator: str
    mode: Literal["relative", "absolute", "level"]
    limit: Fraction
    alias: str = ""

    def true(self, value: Any) -> bool:
        """Whether `value`, a Fraction, an int or a float, breaks the rule; infinity does as numbers go."""
        return OPERATORS[self.operator](value, self.limit)


def parse_rule(text: str) -> Rule:
    """The Rule that `text` spells; RuleError names the column, what belongs there, and the nearest name."""
    return _Parser(text).rule()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def rule(self) -> Rule:
        steps, written = self._path()
        quantity, alias = (ALIASES[written], written) if written in ALIASES else (written, "")
        sign = self._take(_OPERATOR, "an operator: > >= < <= == !=")
        mode, limit = self._number(quantity)
        self._skip()
        if self.at < len(self.text):
            self._fail("the end of the rule")
        return Rule(self.text.strip(), steps, quantity, sign, mode, limit, alias)

    def _path(self) -> tuple[tuple[Step, ...], str]:
        steps: list[Step] = []
        while True:
            self._skip()
            start, step = self.at, self._step()
            self._skip()
            if self.text[self.at : self.at + 1] != ".":
                break
            self.at += 1
            steps.append(step)
        names = (*BY_NAME, *ALIASES)
        if step.kind is not None or step.name not in names:
            self.at = start
            self._fail("a quantity", f"{nearest(step.name, names)}quantities: {', '.join(names)}")
        return tuple(steps), step.name

    def _step(self) -> Step:
        name, start = self._take(_NAME, "a name"), self.at
        self._skip()
        if self.text[self.at : self.at + 1] != ":":
            self.at = start
            return Step(None, _bare(name))
        if name not in KINDS:
            self.at = start - len(name)
            self._fail("a kind of group", f"{nearest(name, KINDS)}kinds: {', '.join(KINDS)}")
        self.at += 1
        return Step(name, _bare(self._take(_NAME, f"the name of the {name}, in quotes if it holds dots")))

    def _number(self, quantity: str) -> tuple[Literal["relative", "absolute", "level"], Fraction]:
        self._skip()
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            self._fail("a number, such as +1% or 8GiB")
        self.at = found.end()
        value = Fraction(found.group(2)) * (-1 if found.group(1) == "-" else 1)
        self._skip()
        start = self.at
        unit = _UNIT.match(self.text, start)
        name = unit.group() if unit is not None else ""
        self.at = unit.end() if unit is not None else start
        if name == "%":
            return "relative", value / 100
        scales = SCALES[BY_NAME[quantity].unit]
        if name not in scales:
            self.at = start
            self._fail(f"% or a unit of {quantity}", f"units: {', '.join(filter(None, scales))}")
        return "absolute" if found.group(1) else "level", value * Fraction(str(scales[name]))  # 0.001 as it is written

    def _take(self, pattern: re.Pattern[str], expected: str) -> str:
        self._skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            self._fail(expected)
        self.at = found.end()
        return found.group()

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def _fail(self, expected: str, hint: str | None = None) -> NoReturn:
        rest = self.text[self.at :].split()
        got = repr(rest[0] if len(rest[0]) <= 24 else f"{rest[0][:21]}...") if rest else "the end"
        raise RuleError(f"rule {self.text!r}, column {self.at + 1}: expected {expected}, got {got}", hint=hint)


def _bare(name: str) -> str:
    return name[1:-1] if name[:1] in "\"'" else name
