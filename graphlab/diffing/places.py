"""What a rule is about: the changes that its steps lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphlab.diffing.errors import PlaceError
from graphlab.diffing.rules import Rule, Step
from graphlab.facts import ROLES
from graphlab.names import nearest
from graphlab.ops.rule import CATEGORIES
from graphlab.report.diff_data import Change, DiffReport, GroupDiff, PartDiff, quantity_name

_BY_NAME = ("category", "role", "stage", "candidate", "program")
"""Kinds of group whose names need no kind in front; names of ops and modules are too many to be told apart."""
_EACH = "candidate"
"""Groups that a rule without one is about, each on its own."""
_FIXED = {"category": CATEGORIES, "role": ROLES}


def places(rule: Rule, report: DiffReport) -> list[tuple[str, Change]]:
    """(where, change) of everything `rule` is about; PlaceError where there is nothing of that name on either side."""
    known = quantity_name(report.kind, rule.quantity)
    if rule.alias not in ("", known):
        raise PlaceError(
            f"rule {rule.text!r}: reports of `graphlab {report.kind}` have no {rule.alias}",
            hint=f"they have {known}, or {rule.quantity} for short",
        )
    if not rule.steps and report.total(rule.quantity) is not None:
        return [(rule.quantity, _of(report.totals, rule, "the total"))]
    parts, steps = _parts(rule, report)
    found = [pair for part in parts for pair in _within(rule, part, steps)]
    if len(parts) > 1 and not any(_each(part) for part in parts):
        names = ", ".join(part.name for part in report.parts)
        raise PlaceError(f"rule {rule.text!r} has no total to be about", hint=f"write NAME.{rule.quantity}: {names}")
    return found


def _parts(rule: Rule, report: DiffReport) -> tuple[Sequence[PartDiff], tuple[Step, ...]]:
    """The parts a rule names, or all of them, and the steps that are left."""
    if not rule.steps:
        return report.parts, ()
    first = rule.steps[0]
    own = "model" if report.kind == "characterize" else "stage"
    if first.kind in (None, own):
        named = [part for part in report.parts if first.name in (part.name, part.a, part.b)]
        if named:
            return named, rule.steps[1:]
        if first.kind == own or len(rule.steps) > 1:
            raise _missing(rule, first, own, [part.name for part in report.parts])
    if len(report.parts) != 1:
        names = [part.name for part in report.parts]
        raise PlaceError(
            f"rule {rule.text!r}: {first} is no {own}",
            hint=f"{nearest(first.name, names)}{own}s: {', '.join(names)}; write {names[0]}.{first}.{rule.quantity} "
            f"for a group of one"
            if names
            else None,
        )
    return report.parts, rule.steps


def _within(rule: Rule, part: PartDiff, steps: tuple[Step, ...]) -> Iterator[tuple[str, Change]]:
    if len(steps) > 1:
        raise PlaceError(
            f"rule {rule.text!r}: {steps[1]} lies in no group of {steps[0]}", hint="write STAGE.GROUP.NAME"
        )
    if not steps and _each(part):
        for group in part.by(_EACH):
            yield f"{part.name}.{Step(None, group.name)}.{rule.quantity}", _of(group.changes, rule, group.name)
        return
    if not steps:
        yield f"{part.name}.{rule.quantity}", _of(part.changes, rule, part.name)
        return
    where = f"{part.name}.{steps[0]}"
    yield f"{where}.{rule.quantity}", _of(_group(rule, part, steps[0]).changes, rule, where)


def _each(part: PartDiff) -> bool:
    return bool(part.by(_EACH))


def _of(changes: Sequence[Change], rule: Rule, where: str) -> Change:
    found = next((item for item in changes if item.quantity == rule.quantity), None)
    if found is None:
        names = [item.quantity for item in changes]
        raise PlaceError(
            f"rule {rule.text!r}: {where} has no {rule.quantity} here",
            hint=f"{nearest(rule.quantity, names)}it has: {', '.join(names)}",
        )
    return found


def _group(rule: Rule, part: PartDiff, step: Step) -> GroupDiff:
    """The group `step` names. A category or role that occurs on neither side is there, and costs nothing."""
    kinds = [step.kind] if step.kind is not None else list(_BY_NAME)
    for kind in kinds:
        found = next((item for item in part.by(kind) if item.name == step.name), None)
        if found is not None:
            return found
    for kind in kinds:
        pattern = part.by(kind)
        if pattern and step.name in _FIXED.get(kind, ()):
            zeros = tuple(Change(item.quantity, item.unit, 0, 0) for item in pattern[0].changes)
            return GroupDiff(kind, step.name, "same", zeros)
    if step.kind in ("op", "module") and not part.by(step.kind):
        raise PlaceError(
            f"rule {rule.text!r}: {step.kind}s are not known on both sides",
            hint="reports of analyze have them, written again where an older version wrote one, and those of profile",
        )
    known = [item.name for kind in kinds for item in part.by(kind)]
    raise _missing(rule, step, step.kind or "group", known)


def _missing(rule: Rule, step: Step, what: str, known: Sequence[str]) -> PlaceError:
    few = ", ".join(known[:24]) + (", ..." if len(known) > 24 else "")
    return PlaceError(
        f"rule {rule.text!r}: neither side has a {what} {step.name!r}",
        hint=f"{nearest(step.name, known)}there are: {few or 'none'}",
    )
