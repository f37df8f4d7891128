"""Ideal times on a device: every call at its roofline, no launch overhead, nothing overlapped. Estimates only.

A call takes the longer of its arithmetic and its memory traffic. Arithmetic is contractions at the peak of
their dtype plus everything else at the float32 peak, which is the rate of the vector units on every device
shipped. The calls of one attention are one call: fused, their bytes are what a fused kernel moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphlab.facts import AttentionTraffic
from graphlab.hardware import Hardware
from graphlab.report.data import Estimate, NodeRow, StageReport

_FLOATS = ("float64", "float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class NodeTime:
    """Seconds of arithmetic and of memory traffic of one call; `seconds` is the longer, `bound` which it is."""

    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        """The longer of the two."""
        return max(self.compute, self.memory)

    @property
    def bound(self) -> str:
        """Which is longer, compute or memory; a tie, as at zero, is memory."""
        return "compute" if self.compute > self.memory else "memory"


def node_seconds(flops: int, pointwise_flops: int, nbytes: int, dtype: str, hardware: Hardware) -> NodeTime:
    """Time of a call with `flops` in `dtype`, `pointwise_flops` and `nbytes` of traffic on `hardware`.

    A dtype the device has no peak for runs at the float32 peak; `estimate_stage` notes it.
    """
    vector = hardware.peak_flops["float32"]
    peak = hardware.peak(dtype) or vector
    return NodeTime(flops / peak + pointwise_flops / vector, nbytes / hardware.bandwidth)


def node_times(
    rows: Sequence[NodeRow], traffic: Mapping[str, AttentionTraffic], hardware: Hardware, dtype: str, *, fused: bool
) -> dict[str, NodeTime]:
    """{call: NodeTime} of `rows`, calls of a stage in `dtype`.

    `traffic` maps the anchor of each attention to its bytes. Fused, the anchor carries the time of the whole
    attention and its other members none; materialised, each member is a call of its own.
    """
    times: dict[str, NodeTime] = {}
    sites: dict[str, list[NodeRow]] = {}
    for row in rows:
        if row.attention is not None and row.attention in traffic:
            sites.setdefault(row.attention, []).append(row)
            continue
        times[row.name] = _row_time(row, row.bytes_read + row.bytes_written, hardware, dtype)
    for anchor, members in sites.items():
        times.update(_site_times(anchor, members, traffic[anchor], hardware, dtype, fused))
    return {row.name: times[row.name] for row in rows}


def _site_times(
    anchor: str, members: list[NodeRow], traffic: AttentionTraffic, hardware: Hardware, dtype: str, fused: bool
) -> Iterable[tuple[str, NodeTime]]:
    if not fused and len(members) > 1:
        return [(row.name, _row_time(row, row.bytes_read + row.bytes_written, hardware, dtype)) for row in members]
    compute = sum(_row_time(row, 0, hardware, dtype).compute for row in members)
    moved = traffic.fused if fused else traffic.materialized
    whole = NodeTime(compute, moved / hardware.bandwidth)
    return [(row.name, whole if row.name == anchor else NodeTime(0.0, 0.0)) for row in members]


def _row_time(row: NodeRow, nbytes: int, hardware: Hardware, dtype: str) -> NodeTime:
    return node_seconds(row.flops or 0, row.pointwise_flops or 0, nbytes, _rate(row, hardware, dtype), hardware)


def _rate(row: NodeRow, hardware: Hardware, dtype: str) -> str:
    """The key of `peak_flops` a call runs at: its output's dtype, the stage's where that is no float.

    float32 convolutions use TF32 where the device has it: torch.backends.cudnn.allow_tf32 is on by default
    (and is off for matrix products, torch.get_float32_matmul_precision() == "highest").
    """
    own = row.dtype if row.dtype in _FLOATS or row.dtype.startswith("float8") else dtype
    return "tf32" if own == "float32" and row.category == "convolution" and "tf32" in hardware.peak_flops else own


def estimate_stage(
    report: StageReport, traffic: Mapping[str, AttentionTraffic], hardware: Hardware
) -> tuple[Estimate, tuple[str, ...]]:
    """(the stage's Estimate on `hardware`, notes on what the numbers rest on).

    `seconds` is one call with fused attention. `seconds_total` is all calls of a generation; where their cost
    changes from step to step, arithmetic and traffic are each scaled by the stage's own totals.
    """
    times = node_times(report.nodes, traffic, hardware, report.dtype, fused=True)
    plain = node_times(report.nodes, traffic, hardware, report.dtype, fused=False)
    compute = sum(time.seconds for time in times.values() if time.bound == "compute")
    memory = sum(time.seconds for time in times.values() if time.bound == "memory")
    calls = report.steps * report.calls_per_step
    more_flops = _ratio(report.flops_total, report.flops_per_step, calls)
    more_bytes = _ratio(report.bytes_total.fused, report.bytes_per_step.fused, calls)
    estimate = Estimate(
        seconds=compute + memory,
        bound="compute" if compute > memory else "memory",
        intensity=_intensity(report),
        ridge=(hardware.peak(report.dtype) or hardware.peak_flops["float32"]) / hardware.bandwidth,
        seconds_total=compute * more_flops + memory * more_bytes,
        seconds_materialized=sum(time.seconds for time in plain.values()),
        peak=hardware.peak(report.dtype) or hardware.peak_flops["float32"],
        bandwidth=hardware.bandwidth,
    )
    return estimate, tuple(_notes(report, hardware, varying=more_flops != calls or more_bytes != calls))


def with_estimate(report: StageReport, traffic: Mapping[str, AttentionTraffic], hardware: Hardware) -> StageReport:
    """`report` with its estimate, the notes of `estimate_stage`, and the ideal seconds of every call."""
    estimate, notes = estimate_stage(report, traffic, hardware)
    times = node_times(report.nodes, traffic, hardware, report.dtype, fused=True)
    nodes = tuple(replace(row, seconds=times[row.name].seconds) for row in report.nodes)
    return replace(report, estimate=estimate, notes=(*report.notes, *notes), nodes=nodes)


def _intensity(report: StageReport) -> float | None:
    """FLOP per byte of one call, attention fused; None where no FLOP is known."""
    if report.flops_per_step is None:
        return None
    return report.flops_per_step / report.bytes_per_step.fused if report.bytes_per_step.fused else 0.0


def _ratio(total: int | None, one: int | None, calls: int) -> float:
    return calls if not one or total is None or total == one * calls else total / one


def _notes(report: StageReport, hardware: Hardware, *, varying: bool) -> Iterable[str]:
    used = {_rate(row, hardware, report.dtype) for row in report.nodes if row.flops}
    for dtype in sorted(used):
        if hardware.peak(dtype) is None:
            yield f"{hardware.name} has no published peak for {dtype}: its products are timed at the float32 peak"
    if "tf32" in used:
        yield "float32 convolutions are timed at the TF32 peak, PyTorch's default on this device"
    unknown = sum(1 for row in report.nodes if row.flops is None)
    if unknown:
        yield f"{unknown} calls without a rule are timed by their bytes alone"
    if varying:
        yield "seconds over all steps scale one call by how FLOPs and bytes grow, not call by call"


def fits(weights: int, activations: int, cache: int, hardware: Hardware) -> bool:
    """Whether `weights` + `activations` + `cache` bytes fit the device's whole memory."""
    return weights + activations + cache <= hardware.memory_bytes


def largest_batch(bytes_at: Callable[[int], int], limit: int, most: int = 2**20) -> int | None:
    """The largest batch up to `most` whose `bytes_at(batch)` is at most `limit`; None if not even 1 fits.

    `bytes_at` must not fall as the batch grows. Doubles until too large, then bisects: about
    2 * log2(answer) calls.
    """
    if bytes_at(1) > limit:
        return None
    low, high = 1, 2
    while high <= most and bytes_at(high) <= limit:
        low, high = high, high * 2
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bytes_at(middle) <= limit else (low, middle)
    return low
