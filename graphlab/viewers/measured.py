"""The measured timeline of a profile: the calls that were run, node by node, then what they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.ops.rule import CATEGORIES
from graphlab.report.profile_data import CallProfile, ProfileReport, StageProfile
from graphlab.viewers.names import short_op
from graphlab.viewers.trace import STAGES, Args, Span, Timeline


def measured(report: ProfileReport) -> Timeline:
    """Stages one after another. Every call that was run is drawn with its nodes, then one span for all other calls.

    Nodes stand one after another, each for the median of its time, so a call is as long as its median or as its nodes
    together, whichever is longer; its arguments hold both. The other calls take what is left of the stage's time.
    """
    spans: list[Span] = []
    now = 0.0
    for stage in report.stages:
        own = list(_stage(stage, now))
        now = own[0].end
        spans += own
    used = {span.track for span in spans}
    tracks = [STAGES, *(name for name in CATEGORIES if name in used)]
    kind = "" if report.device_type in report.device.lower() else f" ({report.device_type})"
    return Timeline(f"measured: {report.device}{kind}", tracks, spans)


def _stage(stage: StageProfile, start: float) -> Iterator[Span]:
    """The span of the stage, then what is inside it."""
    inside: list[Span] = []
    now = start
    for call in stage.calls:
        own = list(_call(call, now))
        now = own[0].end
        inside += own
    run = sum(call.seconds for call in stage.calls)
    left, others = max(stage.seconds_total - run, 0.0), stage.calls_total - len(stage.calls)
    if others > 0 and left > 0:
        how = "interpolated between the calls that were run" if stage.interpolated else "as the call that was run"
        inside.append(Span(STAGES, f"{others} more calls", now, now + left, {"calls": others, "how": how}))
        now += left
    args: Args = {
        "calls": stage.calls_total,
        "steps": stage.steps,
        "dtype": stage.dtype,
        "seconds": stage.seconds_total,
    }
    yield Span(STAGES, stage.name, start, now, args)
    yield from inside


def _call(call: CallProfile, start: float) -> Iterator[Span]:
    """The span of the call, then its nodes."""
    end = start + max(call.seconds, call.seconds_attributed)
    args = {
        "seconds": call.seconds,
        "low": call.low,
        "high": call.high,
        "seconds_plain": call.seconds_plain,
        "seconds_of_nodes": call.seconds_attributed,
        "coverage": call.coverage,
        "rounds": call.rounds,
    }
    yield Span(STAGES, f"step {call.step}", start, end, args)
    now = start
    for node in call.nodes:
        times = {"seconds": node.seconds, "low": node.low, "high": node.high}
        own: Args = {"node": node.name, "op": node.op, "role": node.role, "module": node.module, **times}
        yield Span(node.category, short_op(node.op), now, min(now + node.seconds, end), own)
        now += node.seconds
