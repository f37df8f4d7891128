"""What becomes of the rules of `--fail-if`: held, violated, unknown, or, of measured times, undecided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import isfinite

from graphlab.diffing.places import places
from graphlab.diffing.rules import Rule
from graphlab.report.bench_data import Interval
from graphlab.report.diff_data import Change, DiffReport, Number, Outcome, RuleResult
from graphlab.units import format_value


def judged(rules: Sequence[Rule], report: DiffReport) -> tuple[RuleResult, ...]:
    """A result for every place of every rule; PlaceError for a rule about what neither side has."""
    return tuple(_judged(rule, where, change) for rule in rules for where, change in places(rule, report))


def _judged(rule: Rule, where: str, change: Change) -> RuleResult:
    missing = " and ".join(_missing(rule, change))
    if missing:
        return RuleResult(rule.text, where, "unknown", f"{where} is unknown: {missing}")
    if change.timing is not None:
        return _timed(rule, where, change)
    value = _value(rule.mode, change.a, change.b)
    outcome: Outcome = "violated" if rule.true(value) else "held"
    return RuleResult(rule.text, where, outcome, _words(rule, where, change, _shown(rule, change, value)))


def _missing(rule: Rule, change: Change) -> Iterator[str]:
    """What is unknown of what the rule reads: of b alone for a level."""
    sides: tuple[tuple[str, Number | None, int], ...] = (
        ("a", change.a, change.uncounted_a),
        ("b", change.b, change.uncounted_b),
    )
    for name, number, uncounted in sides[1:] if rule.mode == "level" else sides:
        if uncounted and number is None:
            yield f"none of {name}'s {uncounted} calls has a rule"
        elif uncounted:
            yield f"{name} has {uncounted} calls without a rule, which are in no number"
        elif number is None:
            why = change.timing.why if change.timing is not None and change.timing.why else "it is not told"
            yield f"{name} has no number ({why})"


def _value(mode: str, a: Number | None, b: Number | None) -> Fraction | float:
    """What a rule compares with its limit, exactly; infinite for a relative change from 0."""
    assert b is not None
    if mode == "level":
        return Fraction(b)
    assert a is not None
    difference = Fraction(b) - Fraction(a)
    if mode == "absolute" or not difference:
        return difference
    return difference / abs(Fraction(a)) if a else float("inf") * (1 if difference > 0 else -1)


def _timed(rule: Rule, where: str, change: Change) -> RuleResult:
    """Measured: violated or held where the whole interval says so, undecided where the limit lies within it."""
    assert change.timing is not None
    interval = _interval(rule, change)
    if interval is None:
        why = change.timing.why or "it has no interval"
        return RuleResult(rule.text, where, "unknown", f"{where} is unknown: {why}")
    ends = (Fraction(interval.low), Fraction(interval.high))
    said = " to ".join(_shown(rule, change, end) for end in ends)
    if ends[0] <= rule.limit <= ends[1] and ends[0] != ends[1]:
        words = _words(rule, where, change, f"{said} (95 %), which the limit lies within")
        return RuleResult(rule.text, where, "undecided", words)
    outcome: Outcome = "violated" if rule.true(ends[0]) else "held"
    return RuleResult(rule.text, where, outcome, _words(rule, where, change, f"{said} (95 %)"))


def _interval(rule: Rule, change: Change) -> Interval | None:
    """The interval of what the rule compares: relative and absolute changes of seconds, or b's own."""
    timing = change.timing
    assert timing is not None
    if rule.mode == "level":
        return timing.level_interval
    if rule.mode == "absolute":
        return timing.difference_interval
    ratio = timing.ratio_interval
    return Interval(1 / ratio.high - 1, 1 / ratio.low - 1) if ratio is not None else None


def _shown(rule: Rule, change: Change, value: Fraction | float) -> str:
    if rule.mode == "relative":
        return f"{100 * float(value):+.4g} %" if isfinite(value) else "from nothing to something"
    sign = "+" if rule.mode == "absolute" and value > 0 else ""
    number = int(value) if isinstance(value, Fraction) and value.denominator == 1 else float(value)
    return sign + format_value(number, change.unit)


def _words(rule: Rule, where: str, change: Change, said: str) -> str:
    a, b = (format_value(n, change.unit) if n is not None else "unknown" for n in (change.a, change.b))
    return f"{where} is {said}" if rule.mode == "level" else f"{where} went from {a} to {b}: {said}"
