"""Two Sides as a DiffReport: settings first, then totals, then part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.diffing.attentions import attention_diffs
from graphlab.diffing.changes import UNPAIRED, changes, group_diffs
from graphlab.diffing.errors import DiffError
from graphlab.diffing.nodes import node_diffs
from graphlab.diffing.side import Part, Side, Values
from graphlab.report.diff_data import DiffReport, GroupDiff, PartDiff, Setting, TextDiff

_PLAIN = "-"


def compare(a: Side, b: Side, kind: str, per: str, notes: tuple[str, ...] = ()) -> DiffReport:
    """What differs between `a` and `b`, two sides of one `kind`."""
    for side in (a, b):
        _check(side)
    pairs = paired(a.parts, b.parts)
    totals = changes(a.totals, b.totals) if a.totals and b.totals else ()
    measured = any(c.timing for x, y in pairs if x and y for g in _groups(x, y) for c in g.changes)
    return DiffReport(
        kind=kind,
        per=per,
        a=a.compared,
        b=b.compared,
        settings=tuple(_settings(a, b, pairs)),
        totals=totals,
        parts=tuple(_part(x, y) for x, y in pairs),
        texts=_texts(a.texts, b.texts),
        notes=(
            *notes,
            *_own_notes(a, b),
            *(_pair_notes(pairs) if not notes else ()),
            *([UNPAIRED] if measured else []),
        ),
    )


def _check(side: Side) -> None:
    """DiffError for a side without parts, or with two of one name, which could not be paired."""
    names = [part.name for part in side.parts]
    if not names:
        raise DiffError(f"{side.compared.label} has nothing to compare: no stage", hint="was it written whole?")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DiffError(f"two parts of {side.compared.label} are called {twice}", hint="write the report again")


def paired(a: tuple[Part, ...], b: tuple[Part, ...]) -> list[tuple[Part | None, Part | None]]:
    """Parts of one name; the only parts of both whatever their names; None beside what is on one side alone."""
    if len(a) == len(b) == 1:
        return [(a[0], b[0])]
    others = {part.name: part for part in b}
    found: list[tuple[Part | None, Part | None]] = [(part, others.get(part.name)) for part in a]
    names = {part.name for part in a}
    return found + [(None, part) for part in b if part.name not in names]


def _own_notes(a: Side, b: Side) -> Iterator[str]:
    yield from (f"{name}: {note}" for name, side in (("a", a), ("b", b)) for note in side.notes)


def _pair_notes(pairs: list[tuple[Part | None, Part | None]]) -> Iterator[str]:
    for a, b in pairs:
        if a is not None and b is not None and a.name != b.name:
            yield f"{a.name} of a is compared with {b.name} of b, the only one on either side"


def _part(a: Part | None, b: Part | None) -> PartDiff:
    if a is None or b is None:
        there = b if a is None else a
        assert there is not None
        found = changes(a.values if a else None, b.values if b else None)
        return PartDiff(there.name, a.name if a else None, b.name if b else None, found, tuple(_groups(a, b)))
    notes = []
    texts: tuple[TextDiff, ...] = ()
    if a.symbols == b.symbols:  # without symbols they are the totals once more
        texts = _texts(a.texts, b.texts) if a.symbols else ()
    elif a.texts and b.texts:
        notes.append(f"expressions are over other symbols and not compared: {_names(a.symbols)}; {_names(b.symbols)}")
    known = a.attention is not None and b.attention is not None
    return PartDiff(
        name=a.name,
        a=a.name,
        b=b.name,
        changes=changes(a.values, b.values),
        groups=tuple(_groups(a, b)),
        attention=attention_diffs(a.attention or (), b.attention or ()) if known else (),
        texts=texts,
        nodes=node_diffs(a.nodes, b.nodes) if a.nodes is not None and b.nodes is not None else None,
        notes=tuple(notes),
    )


def _names(symbols: tuple[str, ...]) -> str:
    return ", ".join(symbols) or "none, sizes are fixed"


def _groups(a: Part | None, b: Part | None) -> Iterator[GroupDiff]:
    """Groups of the kinds that both parts know, or that the one that is there knows."""
    left, right = a.groups if a else {}, b.groups if b else {}
    for by in dict.fromkeys((*left, *right)):
        if a is None or b is None or (by in left and by in right):
            yield from group_diffs(by, *_only(by, left.get(by, {}), right.get(by, {})))


def _only(
    by: str, a: Mapping[str, Values], b: Mapping[str, Values]
) -> tuple[Mapping[str, Values], Mapping[str, Values]]:
    """The groups of both; two timings of one candidate each are of the same thing, whatever the candidates are."""
    if by != "candidate" or len(a) != 1 or len(b) != 1 or a.keys() == b.keys():
        return a, b
    name = f"{next(iter(a))} / {next(iter(b))}"
    return dict(zip([name], a.values(), strict=True)), dict(zip([name], b.values(), strict=True))


def _texts(a: Mapping[str, str], b: Mapping[str, str]) -> tuple[TextDiff, ...]:
    names = dict.fromkeys((*a, *b))
    return tuple(TextDiff(n, a.get(n, _PLAIN), b.get(n, _PLAIN)) for n in names if a.get(n) != b.get(n))


def _settings(a: Side, b: Side, pairs: list[tuple[Part | None, Part | None]]) -> Iterator[Setting]:
    """Settings that differ. A bare program's bindings are axes of its inputs, whose shapes are compared instead."""
    if not (a.bare or b.bare):
        yield from _differing("", a.bindings, b.bindings)
    yield from _differing("", a.settings, b.settings)
    for left, right in pairs:
        if left is not None and right is not None:
            yield from _differing(f"{left.name}: ", left.settings, right.settings)
            yield from _inputs(left, right, in_order=a.bare or b.bare)


def _differing(prefix: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Setting]:
    for name in dict.fromkeys((*a, *b)):
        left, right = a.get(name, _PLAIN), b.get(name, _PLAIN)
        if left != right:
            yield Setting(f"{prefix}{name}", left, right)


def _inputs(a: Part, b: Part, *, in_order: bool) -> Iterator[Setting]:
    """Inputs of one name whose shapes differ; the rest `in_order`, where both have as many: exporters rename inputs."""
    rest = ([n for n in a.inputs if n not in b.inputs], [n for n in b.inputs if n not in a.inputs])
    pairs = [(name, name) for name in a.inputs if name in b.inputs]
    pairs += zip(*rest, strict=True) if in_order and len(rest[0]) == len(rest[1]) else ()
    for left, right in pairs:
        if a.inputs[left] != b.inputs[right]:
            name = left if left == right else f"{left} / {right}"
            yield Setting(f"{a.name}: input {name}", _shape(a.inputs[left]), _shape(b.inputs[right]))


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "scalar"
