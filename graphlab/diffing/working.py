"""A source worked out so that it can be compared: at the settings of what it is compared with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphlab.api import analyze
from graphlab.diffing.errors import DiffError
from graphlab.diffing.opening import Opened, axis_bindings
from graphlab.diffing.reading import Saved, saved
from graphlab.errors import BindingError, GraphlabError
from graphlab.hardware import Hardware, load_device

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
        raise DiffError(
            f"{opened.label} cannot be worked out at the sizes of {other.label}: {error.message}",
            hint="give sizes that both take, with --set, --set-a or --set-b",
        ) from error
    return saved(report.to_dict(), opened.label, report)


def _settings(
    opened: Opened, other: Saved | None, wish: Wish, guide: str | None
) -> tuple[Mapping[str, int | float], Hardware | None, bool]:
    if other is None:
        return {}, hardware(wish.device), wish.dynamic
    values: dict[str, int | float] = {}
    if opened.bare:
        values |= axis_bindings(opened.workload.stages[0], _shapes(other, guide))
    if other.live is not None:  # worked out beside it: options are those of both
        return values, hardware(wish.device), wish.dynamic
    if not opened.bare:
        values |= {name: item.number() for name, item in other.data["bindings"].items()}
    device = wish.device if wish.device is not None else other.data["device"].value
    symbolic = any(True for item in other.data["stages"].each() for _ in item["symbols"].items())
    return values, _device_of(device, other), wish.dynamic and (symbolic or opened.bare)


def _shapes(other: Saved, guide: str | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs of the stage `guide`, or of the only one."""
    stages = [item for item in other.data["stages"].each() if guide in (None, item["name"].value)]
    if len(stages) != 1:
        return {}
    return {item["name"].text(): tuple(d.whole() for d in item["shape"].each()) for item in stages[0]["inputs"].each()}


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
