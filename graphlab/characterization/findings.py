"""The takeaways of the characterization, each checked on the models and the device at hand.

Claims are those of "Generative AI Beyond LLMs" that its abstract or secondary sources state ("abstract", "summary"),
and laws that follow from shapes ("closed form"). Times are estimates, so a verdict about time holds for the time model
on this device, not for a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from graphlab.characterization.data import BASELINE, FUSED, Characterization, ModelRun, StageSeries
from graphlab.characterization.sweeps import frame_sweep, image_sweep, swept_stage
from graphlab.kernels.data import Kernel, StageCall
from graphlab.prediction.data import CallTime, category
from graphlab.prediction.predict import predict
from graphlab.report.finding import Finding

ABSTRACT, SUMMARY, CLOSED = "abstract", "summary of the paper", "closed form"

_Check = Callable[[Characterization], tuple[str, Sequence[str]]]


def findings(suite: Characterization) -> tuple[Finding, ...]:
    """Every takeaway, in the paper's order."""
    return tuple(Finding(name, claim, source, *_checked(check, suite)) for name, claim, source, check in _CLAIMS)


def _checked(check: _Check, suite: Characterization) -> tuple[str, tuple[str, ...]]:
    verdict, evidence = check(suite)
    return verdict, tuple(evidence)


def _verdict(held: Sequence[bool]) -> str:
    if not held:
        return "not applicable"
    return "reproduced" if all(held) else "partly reproduced" if any(held) else "not reproduced"


def _busy_shares(suite: Characterization, run: ModelRun, runtime: str) -> dict[str, float]:
    """{category: share of the time the device works}, the whole generation."""
    found = suite.by(run, runtime, category)
    busy = sum(seconds for name, seconds in found.items() if name != "idle")
    return {name: seconds / busy for name, seconds in found.items() if name != "idle"} if busy else {}


def _bottleneck(suite: Characterization) -> tuple[str, Sequence[str]]:
    held, lines = [], []
    for run in suite.models:
        before, after = _busy_shares(suite, run, BASELINE), _busy_shares(suite, run, FUSED)
        expected = _expected(run)
        if not after or expected is None:
            if run.family == "diffusion":
                lines.append(f"{run.name}: not judged, a diffusion model whose denoiser hardly convolves")
            continue
        largest = max(after, key=lambda name: after[name])
        was, now = before.get(expected, 0.0), after.get(expected, 0.0)
        held.append(largest == expected and now > was)
        lines.append(
            f"{run.name}: {expected} {was:.0%} of the time the device works with baseline attention, {now:.0%} with "
            f"fused; largest then: {largest} {after[largest]:.0%}; attention {before.get('attention', 0):.0%} to "
            f"{after.get('attention', 0):.0%}"
        )
    return _verdict(held), lines or ["no U-Net and no transformer that makes image tokens"]


def _expected(run: ModelRun) -> str | None:
    """The category that the claim names for `run`; None for models it says nothing about."""
    if run.family == "diffusion" and _has(run, "convolution"):
        return "convolution"
    return "linear" if run.family.endswith("transformer") else None


def _has(run: ModelRun, name: str) -> bool:
    """Whether a tenth of the FLOPs of the stage that a sampler runs are of the category `name`."""
    call = swept_stage(run).run.first
    return sum(kernel.flops for kernel in call.run("fused") if kernel.category == name) > 0.1 * call.flops


def _attention_speedup(suite: Characterization) -> tuple[str, Sequence[str]]:
    diffusion: list[float] = []
    tokens: list[float] = []
    lines = []
    for run in suite.models:
        before, after = (suite.by(run, runtime, category).get("attention", 0.0) for runtime in (BASELINE, FUSED))
        judged = run.family == "diffusion" or run.family.endswith("transformer")
        if not after or not judged or run.kind != "text-to-image":
            continue
        (diffusion if run.family == "diffusion" else tokens).append(before / after)
        lines.append(f"{run.name} ({run.family}): attention alone {before / after:.2f}x quicker when fused")
    if not diffusion or not tokens:
        return "not applicable", [*lines, "needs a diffusion and a token-predicting text-to-image model"]
    ratio = _mean(diffusion) / _mean(tokens)
    lines.append(f"diffusion {_mean(diffusion):.2f}x, transformers {_mean(tokens):.2f}x (geometric means): {ratio:.2f}")
    return speedup_verdict(ratio), lines


def speedup_verdict(ratio: float) -> str:
    """The verdict on diffusion's speedup over transformers', of which the claim says 1.1 to 2.5: partly for others
    above 1."""
    return _verdict([ratio > 1, 1.1 <= ratio <= 2.5])


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def _lengths(suite: Characterization) -> tuple[str, Sequence[str]]:
    held, lines = [], []
    for run, stage in _denoisers(suite):
        calls = stage.run.first.attention_calls
        lengths = [shape.q for shape in calls if shape.kind in ("self", "joint") and shape.axis == "spatial"]
        levels = sorted(set(lengths), reverse=True)
        if len(levels) < 2:
            continue
        steps = sorted({high / low for high, low in pairwise(levels)})
        back = falls_and_rises(lengths)
        held.append(back and all(abs(step - 4) <= 0.4 for step in steps))
        shown = ", ".join(f"{step:.3g}x" for step in steps)
        lines.append(
            f"{run.name} {stage.name}: {' > '.join(map(str, levels))} {'and back' if back else 'but not back'} within "
            f"one step, neighbours {shown} apart, ends {levels[0] / levels[-1]:.3g}x"
        )
    return _verdict(held), lines or ["no U-Net with spatial self-attention at two resolutions"]


def _denoisers(suite: Characterization) -> Iterator[tuple[ModelRun, StageSeries]]:
    return ((run, stage) for run in suite.models for stage in run.stages if stage.family == "diffusion")


def falls_and_rises(lengths: Sequence[int]) -> bool:
    """Whether `lengths` only fall to their least and only rise from there, and do both."""
    lowest = lengths.index(min(lengths))
    down, up = lengths[: lowest + 1], lengths[lowest:]
    falls = all(a >= b for a, b in pairwise(down)) and down[0] > down[-1]
    return falls and all(a <= b for a, b in pairwise(up)) and up[-1] > up[0]


def _temporal(suite: Characterization) -> tuple[str, Sequence[str]]:
    held: list[bool] = []
    lines = []
    for run in suite.models:
        stages = [stage for stage in run.stages if _axis_flops(stage.run.first, "temporal")]
        pairs = [_axes(suite, run, stage) for stage in stages]
        alone, moved, flops = (_added([pair[kind] for pair in pairs]) for kind in range(3))
        if not all(alone):
            continue
        shares = [temporal / (spatial + temporal) for spatial, temporal in (alone, moved)]
        fewer = flops[1] < flops[0]
        held.extend(share > 0.6 and fewer for share in shares)
        lines.append(
            f"{run.name} {', '.join(stage.name for stage in stages)}: temporal {shares[0]:.0%} of attention time "
            f"alone, {shares[1]:.0%} with its layout changes, at {flops[1] / flops[0]:.2g} times the FLOPs of spatial"
        )
    return _verdict(held), lines or ["no model with spatial and temporal attention"]


_Pair = tuple[float, float]


def _added(pairs: Sequence[_Pair]) -> _Pair:
    return sum(first for first, _ in pairs), sum(second for _, second in pairs)


def _axes(suite: Characterization, run: ModelRun, stage: StageSeries) -> tuple[_Pair, _Pair, _Pair]:
    """(spatial, temporal) of a generation: seconds of attention, the same with layout changes, FLOPs."""
    time = suite.time(run, stage, FUSED)
    seconds, layout = time.by(_core_axis), time.by(_layout_axis)
    core = (seconds.get("spatial", 0.0), seconds.get("temporal", 0.0))
    moved = (core[0] + layout.get("spatial", 0.0), core[1] + layout.get("temporal", 0.0))
    spatial, temporal = (stage.run.total(partial(_axis_flops, axis=axis)) for axis in ("spatial", "temporal"))
    return core, moved, (spatial, temporal)


def _core_axis(kernel: Kernel) -> str:
    return kernel.axis if kernel.category == "attention" else ""


def _layout_axis(kernel: Kernel) -> str:
    return kernel.axis if kernel.category == "movement" else ""


def _axis_flops(call: StageCall, axis: str) -> int:
    return sum(k.flops for k in call.run("fused") if k.category == "attention" and k.axis == axis)


def _fourth_power(suite: Characterization) -> tuple[str, Sequence[str]]:
    held, lines = [], []
    for run in _swept(suite):
        points = [(side, call.score_bytes) for side, call in image_sweep(run) if _attends_to_itself(call)]
        if len(points) < 2:
            continue
        (low, before), (high, after) = points[-2:]
        exponent = math.log(after / before) / math.log(high / low)
        held.append(3.5 < exponent < 4.05)
        lines.append(
            f"{run.name}: similarity matrices grow with the side to the power {exponent:.2f}, {low} to {high} px"
        )
    return _verdict(held), lines or ["no model whose image size may change, or sweeps were left out"]


def _attends_to_itself(call: StageCall) -> bool:
    """Whether positions of the picture attend to each other; against a text alone, matrices grow with their number."""
    return bool(call.score_bytes) and any(shape.kind in ("self", "joint") for shape in call.attentions)


def _convolution_grows(suite: Characterization) -> tuple[str, Sequence[str]]:
    held, lines = [], []
    for run in _swept(suite):
        points = [(side, _shares(predict(call, suite.model, FUSED))) for side, call in image_sweep(run)]
        points = [(side, found) for side, found in points if found.get("convolution") and found.get("attention")]
        if len(points) < 2 or not _has(run, "convolution"):
            continue
        parts = []
        for (low, before), (high, after) in pairwise(points):
            growth = {name: after[name] / before[name] for name in ("convolution", "attention")}
            held.append(growth["convolution"] > growth["attention"])
            parts.append(f"{low} to {high} px {growth['convolution']:.1f}x against {growth['attention']:.1f}x")
        lines.append(f"{run.name}: convolution against fused attention, {'; '.join(parts)}")
    return _verdict(held), lines or ["no U-Net whose image size may change, or sweeps were left out"]


def _shares(time: CallTime) -> dict[str, float]:
    return time.by(category)


def _frames(suite: Characterization) -> tuple[str, Sequence[str]]:
    held, lines = [], []
    for run in suite.models if suite.sweeps else ():
        points = [(frames, call) for frames, call in frame_sweep(run) if _has_both_axes(call)]
        if len(points) < 2:
            continue
        (low, before), (high, after) = points[0], points[-1]
        grown = {axis: _exponent(before, after, axis, high / low) for axis in ("spatial", "temporal")}
        held.append(abs(grown["spatial"] - 1) < 0.1 and abs(grown["temporal"] - 2) < 0.2)
        lines.append(
            f"{run.name}: attention FLOPs from {low} to {high} frames, spatial with the power {grown['spatial']:.2f}, "
            f"temporal {grown['temporal']:.2f}"
        )
    return _verdict(held), lines or ["no model with temporal attention and free frames, or sweeps were left out"]


def _has_both_axes(call: StageCall) -> bool:
    return all(_axis_flops(call, axis) for axis in ("spatial", "temporal"))


def _exponent(before: StageCall, after: StageCall, axis: str, ratio: float) -> float:
    return math.log(_axis_flops(after, axis) / _axis_flops(before, axis)) / math.log(ratio)


def _intensity(suite: Characterization) -> tuple[str, Sequence[str]]:
    diffusion, decode = [], []
    for run in suite.models:
        for stage in run.stages:
            call = stage.run.first
            if not call.counted:
                continue
            found = (call.flops / max(call.bytes["fused"], 1), f"{run.name} {stage.name}")
            if stage.family == "diffusion":
                diffusion.append(found)
            elif stage.family == "language decode":
                decode.append(found)
    if not diffusion or not decode:
        return "not applicable", ["needs a denoiser and a language model that decodes"]
    ends = min(diffusion), max(diffusion), min(decode), max(decode)
    if not ends[2][0]:
        return "not applicable", [f"{ends[2][1]} computes no product"]
    names = ("least denoiser", "most denoiser", "least decoder", "most decoder")
    lines = [f"{end}, {name}: {value:.4g} FLOP a byte" for end, (value, name) in zip(names, ends, strict=True)]
    nearest, farthest = ends[0][0] / ends[3][0], ends[1][0] / ends[2][0]
    lines.append(f"ratios {nearest:.3g} to {farthest:.3g}, of calls of the first step")
    return _verdict([nearest > 10, farthest > 10]), lines


def _swept(suite: Characterization) -> Sequence[ModelRun]:
    return [run for run in suite.models if run.family == "diffusion"] if suite.sweeps else []


_CLAIMS: tuple[tuple[str, str, str, _Check], ...] = (
    (
        "bottleneck",
        "with fused attention, convolution is the largest part of diffusion models' time and linear layers are that of "
        "transformer models'",
        ABSTRACT,
        _bottleneck,
    ),
    (
        "attention-speedup",
        "fused attention speeds attention up 1.1 to 2.5 times more in diffusion models than in transformer ones",
        ABSTRACT,
        _attention_speedup,
    ),
    (
        "sequence-length",
        "sequence length varies over a diffusion step, by 4x from one resolution to the next, down and up again",
        ABSTRACT,
        _lengths,
    ),
    (
        "temporal-attention",
        "temporal attention takes over 60 % of attention time in text-to-video models, with fewer FLOPs than spatial",
        ABSTRACT,
        _temporal,
    ),
    (
        "similarity-memory",
        "the memory of self-attention's similarity matrices grows with the fourth power of the image side",
        CLOSED,
        _fourth_power,
    ),
    (
        "convolution-scaling",
        "with fused attention, convolution grows faster with image size than attention",
        SUMMARY,
        _convolution_grows,
    ),
    (
        "frames",
        "attention FLOPs grow linearly with the frames in space and with their square in time",
        CLOSED,
        _frames,
    ),
    (
        "intensity",
        "denoisers have far higher arithmetic intensity than language models that decode, up to 100x",
        SUMMARY,
        _intensity,
    ),
)
