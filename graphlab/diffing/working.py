"""A source worked out so that it can be compared: at the settings of what it is compared with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from graphlab.api import analyze
from graphlab.characterizing import run as run_characterization
from graphlab.diffing.analysis_side import input_shapes
from graphlab.diffing.entries import Entry
from graphlab.diffing.errors import DiffError
from graphlab.diffing.opening import Opened, axis_bindings
from graphlab.diffing.reading import Saved, saved
from graphlab.errors import BindingError, GraphlabError
from graphlab.hardware import Hardware, load_device
from graphlab.report.rewrite_data import RewriteReport, StageRewrite
from graphlab.rewriter import chosen_passes, rewrite_stage, rewrites
from graphlab.rewriting.account import stage_account
from graphlab.sources.stage import axis_sizes
from graphlab.workload import Workload

Progress = Callable[[str], None] | None


@dataclass(frozen=True, slots=True)
class Wish:
    """How sources are worked out; `device` None is that of the other side, where it is a report."""

    device: str | os.PathLike[str] | Hardware | None = None
    dynamic: bool = True
    strict: bool = False
    cache: bool = True
    progress: Progress = None


def analysed(opened: Opened, stage: str | None, other: Saved | None, wish: Wish, guide: str | None) -> Saved:
    """The analysis of `opened`, all stages or `stage`, at the sizes of `other`'s stage `guide` where it is there.

    A report says bindings, device and whether it was symbolic. A program alone takes the sizes of the other's inputs.
    DiffError where it cannot be worked out there.
    """
    values, wanted, dynamic = _settings(opened, other, wish, guide)
    try:
        report = analyze(
            opened.bound(values),
            wanted,
            stage=stage,
            dynamic=dynamic,
            strict=wish.strict,
            cache=wish.cache,
            progress=wish.progress,
        )
    except BindingError as error:
        if other is None or not values:
            raise
        raise _no_size(opened, other, error) from error
    return replace(saved(report.to_dict(), opened.label), fresh=True)


def _no_size(opened: Opened, other: Saved, error: BindingError) -> DiffError:
    return DiffError(
        f"{opened.label} cannot be worked out at the sizes of {other.label}: {error.message}",
        hint="give sizes that both take, with --set, --set-a or --set-b",
    )


def _settings(
    opened: Opened, other: Saved | None, wish: Wish, guide: str | None
) -> tuple[Mapping[str, int | float], Hardware | None, bool]:
    if other is None:
        return {}, hardware(wish.device), wish.dynamic
    values: dict[str, int | float] = {}
    if opened.bare:
        values |= axis_bindings(opened.workload.stages[0], _shapes(other, guide))
    if other.fresh:  # a source too: options are those of both
        return values, hardware(wish.device), wish.dynamic
    if not opened.bare:
        values |= {name: item.number() for name, item in other.data["bindings"].items()}
    device = wish.device if wish.device is not None else other.data["device"].value
    symbolic = any(True for item in other.data["stages"].each() for _ in item["symbols"].items())
    return values, _device_of(device, other), wish.dynamic and (symbolic or opened.bare)


def _shapes(other: Saved, guide: str | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs of the stage `guide`, or of the only one."""
    stages = [item for item in other.data["stages"].each() if guide in (None, item["name"].value)]
    return input_shapes(stages[0]) if len(stages) == 1 else {}


def hardware(device: str | os.PathLike[str] | Hardware | None) -> Hardware | None:
    """The device that is named; None for none."""
    return device if device is None or isinstance(device, Hardware) else load_device(device)


def _device_of(device: str | os.PathLike[str] | Hardware | None, report: Saved) -> Hardware | None:
    """The report's device; DiffError where it came from a file that its name does not lead to."""
    try:
        return hardware(device)
    except GraphlabError as error:
        raise DiffError(
            f"{report.label} is of the device {device!r}, which is not at hand: {error.message}",
            hint="name its file with --device",
        ) from error


def characterized(opened: Opened, other: Saved, wish: Wish) -> tuple[Saved, Saved]:
    """(the characterization of `opened` with the settings of `other`, `other` with the model alone that it is beside).

    That is the model of its name, or the only one; DiffError where there are several and none has its name.
    """
    models = list(other.data["models"].each())
    named = [item for item in models if item["name"].value == opened.workload.name]
    if len(named or models) != 1:
        names = ", ".join(item["name"].text() for item in models)
        raise DiffError(f"none of the models of {other.label} is called {opened.workload.name}", hint=f"it has {names}")
    model = (named or models)[0]
    device = _device_of(wish.device if wish.device is not None else other.data["device"].text(), other)
    assert device is not None
    report = run_characterization(
        [_bound(opened, model["bindings"], other)],
        device,
        {},
        figure_names=(),
        dtype=other.data["dtype"].maybe(Entry.text),
        sweeps=False,
        cache=wish.cache,
        progress=wish.progress,
    )
    alone = replace(other, data=replace(other.data, value={**other.data.value, "models": [model.value]}))
    return saved(report.to_dict(), opened.label), alone


def rewritten(opened: Opened, other: Saved, stage: str | None, wish: Wish) -> Saved:
    """The rewrite of `opened`, all stages or `stage`, by the passes and at the bindings of `other`."""
    workload = _bound(opened, other.data["bindings"], other)
    stages = list(other.data["stages"].each())
    symbolic = any(_is_free(item) for item in stages)
    chosen = chosen_passes(None, [item.text() for item in other.data["passes"].each()])
    plain = all(item["output"].value is not None and "decompose-fused" in str(item["history"].value) for item in stages)
    last = rewrites(("decompose-fused",) if plain else ())
    rows: list[StageRewrite] = []
    for name in [item.name for item in workload.active] if stage is None else [stage]:
        if wish.progress is not None:
            wish.progress(name)
        before, result = rewrite_stage(workload, name, chosen, dynamic=wish.dynamic and symbolic, last=last)
        running = workload.running(name)
        sizes = axis_sizes(running, workload.step_values(running, 0))
        rows.append(stage_account(name, before, result, sizes, notes=before.notes))
    level = other.data["level"].maybe(Entry.whole)
    report = RewriteReport(workload.source, workload.name, workload.values(), level, chosen.names, tuple(rows))
    return saved(report.to_dict(), opened.label)


def _is_free(stage: Entry) -> bool:
    """Whether a stage of a rewrite was captured with symbols."""
    return any(True for _ in stage["symbols"].items())


def _bound(opened: Opened, bindings: Entry, other: Saved) -> Workload:
    """The workload of `opened` at `bindings` of `other`; DiffError where it cannot take them."""
    try:
        return opened.bound({name: item.number() for name, item in bindings.items()})
    except BindingError as error:
        raise _no_size(opened, other, error) from error
