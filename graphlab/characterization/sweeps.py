"""Calls of a model's denoiser at other image sizes and frame counts.

Sizes lie on the grid of the workload's variables. The stage's source captures again only where no graph it has holds
for a size; what the model refuses to run at is left out and said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from graphlab.characterization.data import ModelRun, StageSeries
from graphlab.errors import GraphlabError
from graphlab.generation.steps import first_step
from graphlab.kernels.data import StageCall
from graphlab.sources.stage import axis_sizes
from graphlab.workload import Variable

FACTORS = (Fraction(1, 2), Fraction(3, 4), Fraction(1), Fraction(3, 2), Fraction(2))
"""Image sides and frame counts of a sweep over the model's own."""

FRAME_FACTORS = (Fraction(1, 2), Fraction(1), Fraction(2))
"""Frame counts of a sweep over the default count."""

SIDE_FACTORS = (Fraction(1, 2), Fraction(1), Fraction(2))
"""Image sides at which frames are swept."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """The first step's call at a picture of `side` x `side` pixels, of `frames` frames (None: the model has none)."""

    side: int
    frames: int | None
    call: StageCall


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep of one model found: `points` by rising size, `notes` about sizes that were refused."""

    stage: StageSeries
    points: tuple[SweepPoint, ...]
    notes: tuple[str, ...]


def swept_stage(run: ModelRun) -> StageSeries:
    """The stage sweeps are about: of those that a sampler runs the one that computes most, else the primary one."""
    stepping = [stage for stage in run.stages if stage.family != "one pass"]
    return max(stepping, key=lambda s: s.run.total(lambda call: call.flops)) if stepping else run.primary


def sweep_images(run: ModelRun) -> Sweep:
    """`run`'s denoiser at square pictures around its default side; no points and a note where sizes are fixed."""
    stage = swept_stage(run)
    side = _default_side(run)
    if side is None:
        return Sweep(stage, (), (f"{run.name} has no image size to change",))
    return _swept(run, stage, [{"height": s, "width": s} for s in sides(run, FACTORS)])


def sweep_frames(run: ModelRun, at: Sequence[int]) -> Sweep:
    """`run`'s denoiser at several frame counts, at square pictures of each side of `at`."""
    stage = swept_stage(run)
    variable = _variables(run).get("frames")
    if variable is None or _default_side(run) is None:
        return Sweep(stage, (), (f"{run.name} has no frames to change",))
    default = int(run.workload.values()["frames"])
    frames = _rounded([default * factor for factor in FRAME_FACTORS], variable)
    return _swept(run, stage, [{"height": s, "width": s, "frames": f} for s in at for f in frames])


def image_sweep(run: ModelRun) -> list[tuple[int, StageCall]]:
    """(side in pixels, call) of `sweep_images`; [] where sizes are fixed."""
    return [(point.side, point.call) for point in sweep_images(run).points]


def frame_sweep(run: ModelRun) -> list[tuple[int, StageCall]]:
    """(frames, call) of `sweep_frames` at the model's own side; [] where there are no frames to change."""
    points = sweep_frames(run, sides(run, (Fraction(1),))).points
    return [(point.frames, point.call) for point in points if point.frames is not None]


def sides(run: ModelRun, factors: Sequence[Fraction]) -> list[int]:
    """Sides of square pictures: `factors` of the model's own side, rounded to what its variables accept, rising."""
    side, variables = _default_side(run), _variables(run)
    if side is None:
        return []
    found = _rounded([side * factor for factor in factors], variables["height"])
    return [value for value in found if value in _rounded([Fraction(value)], variables["width"])]


def _variables(run: ModelRun) -> dict[str, Variable]:
    return {variable.name: variable for variable in run.workload.variables}


def _default_side(run: ModelRun) -> int | None:
    values = run.workload.values()
    return int(max(values["height"], values["width"])) if {"height", "width"} <= values.keys() else None


def _rounded(values: Sequence[Fraction], variable: Variable) -> list[int]:
    """`values` on the grid of `variable`, in its range, each once, rising."""
    grid = variable.multiple_of
    found = {max(round(value / grid), 1) * grid for value in values}
    top = variable.maximum
    return sorted(v for v in found if v >= variable.minimum and (top is None or v <= top))


def _swept(run: ModelRun, stage: StageSeries, bindings: Sequence[Mapping[str, int]]) -> Sweep:
    points, refused = [], []
    own = axis_sizes(stage.run.stage, stage.run.steps[0].values)
    moves = False
    for binding in bindings:
        try:
            call, sizes = _call(run, stage, binding)
        except GraphlabError as error:
            refused.append(f"{run.name} at {_words(binding)}: {error.message}")
            continue
        moves = moves or sizes != own
        points.append(SweepPoint(binding["height"], binding.get("frames"), call))
    if points and not moves and len(points) > 1:
        return Sweep(stage, (), (f"{run.name}: the sizes of {stage.name} do not follow the picture's",))
    if len(bindings) == 1:
        refused.append(f"{run.name} takes no other size than {_words(bindings[0])}")
    return Sweep(stage, tuple(points), tuple(refused))


def _call(run: ModelRun, stage: StageSeries, binding: Mapping[str, int]) -> tuple[StageCall, dict[str, int]]:
    """(call, sizes of its inputs) of the first step under `binding`; GraphlabError where the model refuses it."""
    step = first_step(run.workload.bind(binding), stage.run.stage)
    return stage.source.at(step.values), step.sizes


def _words(binding: Mapping[str, int]) -> str:
    frames = f", {binding['frames']} frames" if "frames" in binding else ""
    return f"{binding['height']} px{frames}"
