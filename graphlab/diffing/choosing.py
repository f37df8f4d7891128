"""Which stages of the two sides are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.diffing.analysis_side import is_bare
from graphlab.diffing.errors import DiffError
from graphlab.diffing.opening import Opened
from graphlab.diffing.reading import Saved
from graphlab.names import nearest
from graphlab.sources.stage import tensor_inputs


@dataclass(frozen=True, slots=True)
class Outline:
    """{stage: names of its inputs} of one side, empty sets where a report does not list them."""

    label: str
    stages: Mapping[str, frozenset[str]]
    bare: bool
    saved: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """The stage of each side that is compared, None for all of them; `note` says why, where nobody asked."""

    a: str | None
    b: str | None
    note: str = ""


def outline(side: Saved | Opened) -> Outline:
    """The stages of `side`."""
    if isinstance(side, Opened):
        stages = {stage.name: frozenset(tensor_inputs(stage)) for stage in side.workload.stages}
        return Outline(side.label, stages, side.bare)
    if side.kind == "characterize":
        models = side.data["models"].each()
        stages = {s["name"].text(): frozenset[str]() for m in models for s in m["stages"].each()}
        return Outline(side.label, stages, bare=False, saved=True)
    analysis = side.kind == "analyze"
    found = {
        item["name"].text(): frozenset(i["name"].text() for i in item["inputs"].each()) if analysis else frozenset()
        for item in side.data["stages"].each()
    }
    return Outline(side.label, found, analysis and is_bare(side.data), saved=True)


def choose(a: Outline, b: Outline, stage_a: str | None, stage_b: str | None) -> Chosen:
    """What `stage_a` and `stage_b` pick; without either all stages, or what one side picks of the other.

    A program alone picks its like among the stages of the other, a report of one stage that of a source beside it.
    DiffError for a stage that neither has, and for a program alone beside several stages none of which is told to be
    its.
    """
    if stage_a is not None or stage_b is not None:
        return Chosen(_asked(a, stage_a), _asked(b, stage_b))
    if a.bare != b.bare:
        one, many = (a, b) if a.bare else (b, a)
        if len(many.stages) == 1:
            return Chosen(None, None)
        name, why = _like(one, many)
        note = f"{one.label} is compared with the stage {name} of {many.label}, {why}"
        return Chosen(None, name, note) if a.bare else Chosen(name, None, note)
    for one, many in ((a, b), (b, a)):
        name = next(iter(one.stages), "")
        if one.saved and not many.saved and len(one.stages) == 1 < len(many.stages) and name in many.stages:
            return Chosen(name, name, f"only the stage {name} is compared: {one.label} has no other")
    return Chosen(None, None)


def _like(one: Outline, many: Outline) -> tuple[str, str]:
    """(stage of `many` that `one` is to be, why)."""
    ((name, inputs),) = one.stages.items()
    if name in many.stages:
        return name, "which has its name"
    alike = [other for other, names in many.stages.items() if names and names == inputs]
    if len(alike) == 1:
        return alike[0], "whose inputs have the same names"
    raise DiffError(
        f"{one.label} is one program, and none of the stages of {many.label} is told to be its",
        hint=f"pick one with --stage: {', '.join(many.stages)}",
    )


def _asked(side: Outline, stage: str | None) -> str | None:
    """`stage` where `side` has it; None for all of it, and for a program alone, whose stage may be called anything."""
    if stage is None or stage in side.stages:
        return stage
    if side.bare:
        return None
    raise DiffError(
        f"{side.label} has no stage {stage!r}",
        hint=f"{nearest(stage, side.stages)}stages: {', '.join(side.stages)}; --stage-a and --stage-b pick one of each",
    )
