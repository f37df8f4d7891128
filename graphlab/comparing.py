"""`diff`: what differs between two sources, programs, reports or timings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphlab.diffing.analysis_side import CALL, GENERATION, analysis_side, holds_calls, is_bare
from graphlab.diffing.bench_side import bench_side
from graphlab.diffing.characterization_side import characterization_side
from graphlab.diffing.choosing import Chosen, choose, outline
from graphlab.diffing.compare import compare
from graphlab.diffing.errors import DiffError
from graphlab.diffing.judge import judged
from graphlab.diffing.opening import Comparable, Opened, SourceOptions, kind_of, open_side
from graphlab.diffing.profile_side import profile_side
from graphlab.diffing.reading import Saved
from graphlab.diffing.rewrite_side import rewrite_side
from graphlab.diffing.rules import parse_rule
from graphlab.diffing.side import Side
from graphlab.diffing.working import Progress, Wish, analysed, characterized, rewritten
from graphlab.errors import BindingError
from graphlab.hardware import Hardware
from graphlab.names import nearest
from graphlab.report.diff_data import DiffReport, GivenAs

PER = (CALL, GENERATION)


def diff(
    a: Comparable,
    b: Comparable,
    *,
    stage: str | None = None,
    stage_a: str | None = None,
    stage_b: str | None = None,
    device: str | os.PathLike[str] | Hardware | None = None,
    per: str | None = None,
    fail_if: Sequence[str] = (),
    both: Mapping[str, int | float] | None = None,
    only_a: Mapping[str, int | float] | None = None,
    only_b: Mapping[str, int | float] | None = None,
    dynamic: bool = True,
    strict: bool = False,
    cache: bool = True,
    progress: Progress = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    options_a: SourceOptions | None = None,
    options_b: SourceOptions | None = None,
    **bindings: int | float,
) -> DiffReport:
    """What differs between `a` and `b`: settings, totals, every stage, and what became of the rules in `fail_if`.

    Each is a source as `analyze` takes it, a report, or the file of one. Two sources are analysed; a source beside a
    report is put through the report's command at the report's bindings, device and options; a program alone takes the
    sizes of the other's inputs. `stage` picks one stage of both, `stage_a` and `stage_b` one of each; `bindings` go to
    every source that has such a variable, and so do those of `both`, where a variable may be called like an option;
    `only_a` and `only_b` go to one. `options_a` and `options_b` say how one source is read where `config`,
    `trust_pickle` and `inputs` are not for both. `per` is "call" or "generation", by default a
    generation where both sides say what one is. The other options are those of `analyze`. Raises DiffError for what
    cannot be compared, ReportFileError for a report that cannot be read, RuleError and PlaceError for a rule that is
    misspelled or about what neither side has.
    """
    rules = tuple(parse_rule(text) for text in fail_if)
    if per not in (None, *PER):
        raise DiffError(f"numbers are per {' or '.join(PER)}, not per {per!r}", hint=nearest(str(per), PER).strip())
    options = SourceOptions(config, trust_pickle, inputs)
    first = open_side(a, "a", options_a or options, dynamic=dynamic)
    second = open_side(b, "b", options_b or options, dynamic=dynamic)
    _check_options((first, second), (options_a or options, options_b or options))
    kind = kind_of(first, second)
    first, second = _asked((first, second), {**(both or {}), **bindings}, (only_a or {}, only_b or {}))
    if device is not None and not any(isinstance(side, Opened) for side in (first, second)):
        raise DiffError("a device is for sources, and both sides are reports", hint="leave it out")
    wish = Wish(device, dynamic, strict, cache, progress)
    chosen = choose(outline(first), outline(second), *(s if s is not None else stage for s in (stage_a, stage_b)))
    sides, scale = _sides(kind, (first, second), chosen, wish, per)
    report = compare(*sides, kind, scale, notes=(chosen.note,) if chosen.note else ())
    return replace(report, rules=judged(rules, report))


def _check_options(sides: tuple[Saved | Opened, Saved | Opened], options: tuple[SourceOptions, SourceOptions]) -> None:
    """DiffError for options of sources that go to a report alone, where they would be ignored without a word."""
    used = [item for side, item in zip(sides, options, strict=True) if isinstance(side, Opened)]
    for side, item in zip(sides, options, strict=True):
        if isinstance(side, Saved) and (item.config is not None or item.inputs) and item not in used:
            raise DiffError(f"{side.label} is a report, and configurations and inputs are for sources")


def _asked(
    sides: tuple[Saved | Opened, Saved | Opened],
    bindings: Mapping[str, int | float],
    only: tuple[Mapping[str, int | float], Mapping[str, int | float]],
) -> tuple[Saved | Opened, Saved | Opened]:
    """The sources among `sides` with what was asked of them; errors for what goes nowhere."""
    names = {v.name for side in sides if isinstance(side, Opened) for v in side.workload.variables}
    for name in bindings:
        if name not in names:
            hint = f"{nearest(name, names)}known: {', '.join(sorted(names)) or 'none, for reports are as they are'}"
            raise BindingError(f"neither side has a variable {name!r} to set", hint=hint)
    found: list[Saved | Opened] = []
    for side, own, letter in zip(sides, only, "ab", strict=True):
        if isinstance(side, Opened):
            known = {v.name for v in side.workload.variables}
            side.workload.bind(own)  # names that are unknown to this very side
            shared = {name: value for name, value in bindings.items() if name in known}
            found.append(replace(side, asked={**shared, **own}))
        elif own:
            raise BindingError(f"{side.label} ({letter}) is a report, and its sizes are what they are")
        else:
            found.append(side)
    return found[0], found[1]


def _sides(
    kind: str, sides: tuple[Saved | Opened, Saved | Opened], chosen: Chosen, wish: Wish, per: str | None
) -> tuple[tuple[Side, Side], str]:
    """(both sides, what their numbers are per)."""
    if kind == "analyze":
        return _analyses(sides, chosen, wish, per)
    if per is not None:
        raise DiffError(f"numbers of `graphlab {kind}` are as its reports have them", hint="leave --per out")
    a, b = _reports(sides, chosen, wish)
    if kind == "profile":
        return (profile_side(a, chosen.a), profile_side(b, chosen.b)), GENERATION
    if kind == "bench":
        return (bench_side(a, chosen.a), bench_side(b, chosen.b)), CALL
    ways = [_given(side) for side in sides]
    if kind == "rewrite":
        return (rewrite_side(a, chosen.a, ways[0]), rewrite_side(b, chosen.b, ways[1])), CALL
    first, second = characterization_side(a, chosen.a, ways[0]), characterization_side(b, chosen.b, ways[1])
    if ways != ["report", "report"]:  # verdicts are about all models of a report, and the source is one
        first, second = replace(first, texts={}), replace(second, texts={})
    return (first, second), GENERATION


def _given(side: Saved | Opened) -> GivenAs:
    return "source" if isinstance(side, Opened) else "report"


def _reports(sides: tuple[Saved | Opened, Saved | Opened], chosen: Chosen, wish: Wish) -> tuple[Saved, Saved]:
    """Both sides as reports: a source beside one is put through its command, with its settings."""
    a, b = sides
    if isinstance(a, Opened):
        assert isinstance(b, Saved)  # two sources are analysed
        return _beside(a, b, chosen.a, wish)
    return (a, b) if isinstance(b, Saved) else _beside(b, a, chosen.b, wish)[::-1]


def _beside(source: Opened, report: Saved, stage: str | None, wish: Wish) -> tuple[Saved, Saved]:
    """(`source` put through the command of `report`, what of `report` is to be compared with it)."""
    if report.kind == "rewrite":
        return rewritten(source, report, stage, wish), report
    return characterized(source, report, wish)


def _analyses(
    sides: tuple[Saved | Opened, Saved | Opened], chosen: Chosen, wish: Wish, per: str | None
) -> tuple[tuple[Side, Side], str]:
    """Reports first, then models, then programs alone: each is worked out at the sizes of what is there already."""
    stages = (chosen.a, chosen.b)
    order = sorted((0, 1), key=lambda index: _late(sides[index]))
    done: dict[int, Saved] = {}
    for index in order:
        side, other = sides[index], done.get(1 - index)
        if isinstance(side, Opened):
            done[index] = analysed(side, stages[index], other, wish, stages[1 - index])
        else:
            done[index] = side
    bare = any(is_bare(item.data) for item in done.values())
    scale = per if per is not None else CALL if bare else GENERATION
    calls = all(holds_calls(item.data) for item in done.values())
    a, b = (analysis_side(done[i], stages[i], scale, _given(sides[i]), calls=calls) for i in (0, 1))
    return (a, b), scale


def _late(side: Saved | Opened) -> tuple[int, int]:
    """Reports, then models, then programs alone: first those whose sizes are fixed, which the others can take."""
    if isinstance(side, Saved):
        return 0, 0
    return (2, len(side.workload.variables)) if side.bare else (1, 0)
