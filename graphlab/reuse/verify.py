"""`measure`: whether both programs are right where nothing is reused, and how far off they are where it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from graphlab.reuse.loop import ReusedLoop, relative
from graphlab.reuse.result import Drift, ReuseResult
from graphlab.units import format_bytes
from graphlab.verification.bindings import bytes_to_run, ordered_candidates
from graphlab.verification.compare import Tally
from graphlab.verification.result import Broken, Verification, VerifyOptions
from graphlab.verification.run import RunError
from graphlab.verification.tape import tape

_DEFAULT = VerifyOptions()
_STEPS = 50
"""Steps of the path for a bare program, which has no loop around it."""


def measure(result: ReuseResult, options: VerifyOptions = _DEFAULT) -> ReuseResult:
    """`result` with `verification` and `drift`, everything run in float64.

    `verification` says whether a refreshing step, and a step on features of that very step, give the results of the
    program whole: at `options.bindings` sizes, on drawn weights and inputs. It fails where the programs are cut wrong,
    and says nothing of features of an earlier step. Those are what `drift` measures, at the sizes of the report and at
    three places of the loop, on the program's own weights where it has some: inputs turn from one draw to another over
    the steps. A program that does not fit `options.limit_bytes` is not run: `unchecked` of the verification says so.
    """
    if result.report is None:
        return result
    whole = tape(result.program)
    sizes = ordered_candidates((whole,), options)
    needed = bytes_to_run((whole, whole), sizes[0])
    if needed > options.limit_bytes and options.mode != "whole":
        sized = f"{format_bytes(needed)} of {format_bytes(options.limit_bytes)}"
        return replace(result, verification=Verification(True, "whole", unchecked=(f"too large to run: {sized}",)))
    found = _fresh(result, sizes, options)
    return replace(result, verification=found, drift=_drift(result, options) if found.ok else None)


def _fresh(result: ReuseResult, sizes: list[dict[str, int]], options: VerifyOptions) -> Verification:
    tallies: dict[str, Tally] = {}
    tried: list[dict[str, int]] = []
    unchecked: list[str] = []
    for values in sizes:
        if len(tried) == options.bindings:
            break
        loop = ReusedLoop(result, values, 2, seed=options.seed, device=torch.device(options.device))
        try:
            exact = loop.whole(0)
        except RunError as error:
            unchecked.append(f"at {values or 'its fixed sizes'} the program before does not run: {error.message}")
            continue
        for place, before, after in _pairs(loop, exact):
            tallies.setdefault(place, Tally()).add_double(before, after)
        tried.append(values)
    broken = next((_broken(result, place, tally, options) for place, tally in tallies.items()
                   if not tally.double_holds(options)), None)  # fmt: skip
    said = any(tally.said or not tally.double.count for tally in tallies.values())
    return Verification(
        ok=broken is None and bool(tried) and said,
        mode="whole",
        bindings=tuple(tried),
        worst_float64=max((tally.double.worst for tally in tallies.values()), default=None),
        compared=len(tallies),
        broken=broken,
        unchecked=tuple(unchecked),
    )


def _pairs(loop: ReusedLoop, exact: tuple[torch.Tensor, ...]) -> Iterator[tuple[str, torch.Tensor, torch.Tensor]]:
    """(place, value of the program whole, the same of a part) where nothing is old."""
    refreshed, features = loop.refresh(0)
    for part, made in (("refresh", refreshed), ("reuse", loop.reuse(0, features))):
        for index, (before, after) in enumerate(zip(exact, made, strict=True)):
            yield f"result {index} of the {part} step", before, after


def _broken(result: ReuseResult, place: str, tally: Tally, options: VerifyOptions) -> Broken:
    name = next((change.pass_name for change in result.changes), "")
    return Broken(
        name, place, place, "float64", tally.double.worst, options.tolerance, "its features were of that step"
    )


def _drift(result: ReuseResult, options: VerifyOptions) -> Drift | None:
    """The measured difference on the oldest features there are; None where no step takes any."""
    assert result.report is not None
    steps = result.report.steps or _STEPS
    age = min(result.every, steps) - 1
    if age == 0:
        return None
    sizes: Mapping[str, int] = dict(result.report.sizes)
    loop = ReusedLoop(result, sizes, steps, seed=options.seed, device=torch.device(options.device), own=True)
    places = tuple(dict.fromkeys(max(age, round(share * (steps - 1))) for share in (0.25, 0.5, 0.75)))
    found = tuple(relative(loop.reuse(at, loop.refresh(at - age)[1]), loop.whole(at)) for at in places)
    return Drift(age, steps, places, found, "the program's own" if loop.own else "drawn")
