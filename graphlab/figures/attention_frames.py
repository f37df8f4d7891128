"""Attention FLOPs over the number of frames: spatial ones rise in a line, temporal ones as a square."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphlab.characterization.data import Characterization
from graphlab.characterization.sweeps import SIDE_FACTORS, Sweep, SweepPoint, sides, sweep_frames, swept_stage
from graphlab.figures.charts import FADED, colour, facets, picks, quantity, tooltip
from graphlab.figures.crossings import crossings
from graphlab.figures.notes import NO_SWEEPS, distinct, places, why_empty
from graphlab.kernels.data import Attention, StageCall
from graphlab.report.figure import Column, Figure, Value

AXES = ("spatial", "temporal", "spatiotemporal")

BEYOND = (2, 4, 8, 16)
"""How far past the largest swept frame count the closed forms are drawn, to where temporal overtakes spatial."""

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("side", "image side", "px"),
    Column("frames", "frames"),
    Column("axis", "axis", help="of self attention"),
    Column("flops", "FLOPs", "FLOP", "of its products in one call, counted; none where only the closed form is drawn"),
    Column("closed_flops", "FLOPs, closed form", "FLOP", "4 F N^2 C (spatial) or 4 N F^2 C (temporal), summed"),
    Column("crossover_frames", "spatial = temporal", "frames", "by interpolation, in the range alone"),
    Column("closed_crossover_frames", "spatial = temporal, closed form", "frames", "where the closed forms are equal"),
)


@dataclass(frozen=True, slots=True)
class FrameLaw:
    """Closed forms of a call's self attention over frames F: `spatial` x F and `temporal` x F^2 FLOP.

    Per layer the forms are 4 F N^2 C and 4 N F^2 C (N positions, C channels), equal at F = N; summed over layers with
    N and C of their own they are equal at F = `crossover`.
    """

    spatial: int
    temporal: int

    def at(self, axis: str, frames: int) -> int:
        """FLOP of `axis`, "spatial" or "temporal", at `frames`."""
        return self.spatial * frames if axis == "spatial" else self.temporal * frames**2

    @property
    def crossover(self) -> float | None:
        """Frames at which temporal FLOPs overtake spatial ones; None where there is only one of them."""
        return self.spatial / self.temporal if self.spatial and self.temporal else None


def frame_law(attentions: Sequence[Attention], frames: int) -> FrameLaw:
    """The law behind the self attentions of a call at `frames` frames.

    Spatial: batch = samples x F, N tokens. Temporal: batch = samples x N, F tokens, which must be `frames`;
    ValueError where they are not (a model that compresses time).
    """
    spatial = temporal = 0
    for item in attentions:
        if item.kind != "self" or item.axis not in ("spatial", "temporal"):
            continue
        channels = item.heads * item.width
        if item.axis == "spatial":
            if item.batch % frames:
                raise ValueError(f"{item.batch} spatial attentions are no multiple of {frames} frames")
            spatial += 4 * (item.batch // frames) * item.q * item.kv * channels
        else:
            if {item.q, item.kv} != {frames}:
                raise ValueError(f"temporal attention over {item.q} and {item.kv} tokens, not {frames} frames")
            temporal += 4 * item.batch * channels
    return FrameLaw(spatial, temporal)


def attention_frames(suite: Characterization) -> Figure:
    """FLOPs of self attention by axis over frames, at several image sides, with the frames at which they cross."""
    rows: list[Mapping[str, Value]] = []
    notes = [] if suite.sweeps else [NO_SWEEPS]
    for run in suite.models if suite.sweeps else ():
        if not any(attention.axis == "temporal" for attention in swept_stage(run).run.first.attentions):
            notes.extend([f"{run.name} has no temporal attention"] if run.kind == "text-to-video" else [])
            continue
        sweep = sweep_frames(run, sides(run, SIDE_FACTORS))
        notes.extend(sweep.notes)
        for side in dict.fromkeys(point.side for point in sweep.points):
            points = [point for point in sweep.points if point.side == side]
            rows.extend(_rows(run.name, sweep, points, notes))
    return Figure(
        name="attention-frames",
        title="Attention FLOPs over frames",
        caption=(
            "FLOPs of self attention in one call over the number of frames. Spatial attention costs 4 F N^2 C, "
            "temporal 4 N F^2 C: equal at F = N in every layer, so the crossover moves with the resolution. "
            "Points are counted, lines are the closed forms."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
        notes=distinct(
            why_empty(rows, "no model of the suite has frames and attention over them to vary") if suite.sweeps else (),
            notes,
        ),
    )


def _rows(model: str, sweep: Sweep, points: list[SweepPoint], notes: list[str]) -> Iterator[Mapping[str, Value]]:
    counted = {axis: [_flops(point.call, axis) for point in points] for axis in AXES}
    law, side = _law(model, points[0], notes), points[0].side
    frames = [point.frames or 0 for point in points]
    crossed = crossings(frames, counted["spatial"], counted["temporal"])
    if law is not None and law.crossover is not None:
        notes.append(
            f"{model} at {side} px: counted spatial and temporal FLOPs are equal {places(crossed, 'frames')} "
            f"({frames[0]} to {frames[-1]}); the closed forms are at {law.crossover:.0f} frames"
        )
    base: dict[str, Value] = {
        "model": model,
        "stage": sweep.stage.name,
        "side": side,
        "crossover_frames": crossed[0] if crossed else None,
        "closed_crossover_frames": law.crossover if law is not None else None,
    }
    for axis in AXES:
        for count, flops in zip(frames, counted[axis], strict=True):
            if flops:
                closed = law.at(axis, count) if law is not None and axis != "spatiotemporal" else None
                yield {**base, "frames": count, "axis": axis, "flops": flops, "closed_flops": closed}
    for axis in AXES[:2] if law is not None and law.crossover is not None else ():
        for count in (frames[-1] * factor for factor in BEYOND):
            closed = law.at(axis, count) if law is not None else None
            yield {**base, "frames": count, "axis": axis, "flops": None, "closed_flops": closed}


def _law(model: str, point: SweepPoint, notes: list[str]) -> FrameLaw | None:
    try:
        return frame_law(point.call.attention_calls, point.frames or 1)
    except ValueError as error:
        notes.append(f"{model}: no closed form ({error})")
        return None


def _flops(call: StageCall, axis: str) -> int:
    """FLOPs of the products of self attention over `axis`."""
    kernels = (k for k in call.run("fused") if k.attention is not None and k.axis == axis)
    return sum(k.flops for k in kernels if k.attention is not None and k.attention.kind == "self")


_X = quantity("frames", "frames", log=True, format="d")
_Y = "attention FLOPs of one call (FLOP)"
_TOOLTIP = tooltip(
    COLUMNS, "model", "side", "frames", "axis", "flops", "closed_flops", "crossover_frames", "closed_crossover_frames"
)

_CHART = {
    "description": "Points and lines on log axes, one panel a model: attention FLOPs over frames, by axis and side.",
    **facets(
        "model",
        2,
        {
            "width": 280,
            "height": 200,
            "layer": [
                {
                    "params": picks("axis"),
                    "mark": "line",
                    "encoding": {
                        "x": _X,
                        "y": quantity("closed_flops", _Y, log=True),
                        "color": colour("axis", domain=AXES),
                        "strokeDash": {"field": "side", "type": "nominal", "title": "image side (px)"},
                        "opacity": FADED,
                        "tooltip": _TOOLTIP,
                    },
                },
                {
                    "transform": [{"filter": "isValid(datum.flops)"}],
                    "mark": {"type": "point", "filled": True},
                    "encoding": {
                        "x": _X,
                        "y": quantity("flops", _Y, log=True),
                        "color": colour("axis", domain=AXES),
                        "opacity": FADED,
                        "tooltip": _TOOLTIP,
                    },
                },
            ],
        },
        free=("x", "y"),
    ),
}
