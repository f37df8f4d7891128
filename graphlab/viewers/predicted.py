"""The predicted timeline of a generation: stages, steps, and the first calls of each stage node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphlab.facts import MemoryFacts
from graphlab.generation.runs import StageRun, StageSource
from graphlab.generation.steps import Step, lines
from graphlab.generation.times import StageTime, stage_time
from graphlab.kernels.data import Kernel
from graphlab.kernels.extract import call_names
from graphlab.ops.rule import CATEGORIES
from graphlab.prediction.data import VARIANT, CallTime, KernelModel
from graphlab.prediction.predict import predict
from graphlab.viewers.names import short_op
from graphlab.viewers.trace import STAGES, Args, Sample, Span, Timeline

ACTIVATIONS, WEIGHTS = "activations", "weights"
"""Counters, in bytes."""


@dataclass(frozen=True, slots=True)
class TracedStage:
    """A stage of a generation and what makes its calls."""

    run: StageRun
    source: StageSource


@dataclass(frozen=True, slots=True)
class StageRow:
    """What a timeline shows of one stage: its calls, how many of them node by node, and its seconds.

    `interpolated` counts the steps whose seconds lie on a straight line between those that were worked out.
    """

    name: str
    steps: int
    calls: int
    drawn: int
    seconds: float
    interpolated: int


def predicted(
    stages: Sequence[TracedStage], model: KernelModel, runtime: str, *, title: str, expand: int = 1
) -> tuple[Timeline, tuple[StageRow, ...]]:
    """(the timeline of one generation on the device of `model` under `runtime`, a row a stage).

    The first `expand` calls of every stage are drawn kernel by kernel, each at its estimated time, on a track a
    category; other steps are one span each. Stages run one after another. Memory is what is alive: at every kernel of a
    call that is drawn, and the peak of the step elsewhere; all weights stay.
    """
    writer = _Writer(model, runtime, expand)
    rows = tuple(writer.stage(item) for item in stages)
    resident = {item.run.stage.weights or item.run.stage.name: item.run.first.weight_bytes for item in stages}
    samples = [Sample(WEIGHTS, at, {"bytes": sum(resident.values())}) for at in (0.0, writer.now)]
    samples.append(Sample(ACTIVATIONS, writer.now, {"bytes": 0}))
    used = {span.track for span in writer.spans}
    tracks = [STAGES, *(name for name in CATEGORIES if name in used)]
    return Timeline(title, tracks, writer.spans, [*writer.samples, *samples]), rows


@dataclass
class _Writer:
    """Writes stages one after another from `now` on."""

    model: KernelModel
    runtime: str
    expand: int
    now: float = 0.0
    spans: list[Span] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    @property
    def way(self) -> str:
        """The key of bytes and memory that the runtime goes by."""
        return "materialized" if VARIANT[self.runtime] == "materialized" else "fused"

    def stage(self, item: TracedStage) -> StageRow:
        """Writes one stage of the generation."""
        run, start, place = item.run, self.now, len(self.spans)
        plan = _Plan.of(item, self.model, self.runtime, self.way)
        drawn = interpolated = 0
        for index in range(len(run.steps)):
            call = plan.call(index, exact=drawn < self.expand)
            interpolated += call is None
            drawn += self._step(plan, index, call, self.expand - drawn)
        calls = sum(step.repeats for step in run.steps)
        seconds = self.now - start
        args: Args = {"steps": len(run.steps), "calls": calls, "dtype": run.stage.dtype, "seconds": seconds}
        self.spans.insert(place, Span(STAGES, run.stage.name, start, self.now, args))
        return StageRow(run.stage.name, len(run.steps), calls, drawn, seconds, interpolated)

    def _step(self, plan: _Plan, index: int, call: CallTime | None, left: int) -> int:
        """Writes one step, up to `left` calls of it kernel by kernel; how many these were."""
        step, begin, seconds = plan.steps[index], self.now, plan.seconds(index, call)
        bounds = call.bounds() if call is not None else {}
        main = max(bounds, key=lambda name: bounds[name], default=None)
        args: Args = {**plan.counts(index), "interpolated": call is None, "bound": main}
        self.spans.append(Span(STAGES, f"step {index}", begin, begin + seconds, args))
        drawn = min(max(left, 0), step.repeats) if call is not None else 0
        for number in range(drawn):
            assert call is not None
            self._call(plan, step, call, number, begin + number * call.seconds)
        if drawn < step.repeats:
            at = begin + drawn * call.seconds if call is not None else begin
            self.samples.append(Sample(ACTIVATIONS, at, {"bytes": plan.peaks[index]}))
        self.now = begin + seconds
        return drawn

    def _call(self, plan: _Plan, step: Step, call: CallTime, number: int, begin: float) -> None:
        """Writes one call: itself, its kernels, and the memory at each of them."""
        end = begin + call.seconds
        args: Args = {"busy": call.busy, "idle": call.idle, "host": call.host, "runtime": self.runtime}
        self.spans.append(Span(STAGES, f"call {number}", begin, end, args))
        names, alive = plan.known(step, self.runtime, self.way)
        order = call.call.order[VARIANT[self.runtime]]
        running = [name for name, kernel in zip(names, order, strict=True) if call.times[kernel].seconds > 0]
        slices = call.timeline(asynchronous=self.model.asynchronous)
        for name, (kernel, start, seconds, bound) in zip(running, slices, strict=True):
            at = begin + start
            self.spans.append(_kernel_span(kernel, name, at, min(at + seconds, end), bound))
            self.samples.append(Sample(ACTIVATIONS, at, {"bytes": alive[name]}))


@dataclass(frozen=True)
class _Plan:
    """A stage's run with its time, its counts at every step, and what is known of single calls."""

    item: TracedStage
    model: KernelModel
    time: StageTime
    per_step: list[float]
    between: list[tuple[int, float]]
    flops: list[int] | None
    moved: list[int]
    peaks: list[int]
    _known: dict[tuple[int | float, ...], tuple[Sequence[str], Mapping[str, int]]] = field(default_factory=dict)

    @staticmethod
    def of(item: TracedStage, model: KernelModel, runtime: str, way: str) -> _Plan:
        """The plan of `item`; `way` is the key of its bytes."""
        run, time = item.run, stage_time(item.run, model, runtime)
        return _Plan(
            item,
            model,
            time,
            time.per_step(),
            lines(run.steps, run.at),
            run.series(lambda call: call.flops) if run.first.counted else None,
            run.series(lambda call: call.bytes[way]),
            run.level(lambda call: call.peak_bytes[way]),
        )

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every step of the stage."""
        return self.item.run.steps

    def call(self, index: int, *, exact: bool) -> CallTime | None:
        """The time of a call of step `index`; None where it was not worked out, unless it is to be `exact`."""
        left, share = self.between[index]
        if not share:
            return self.time.calls[left]
        found = self.item.source.at(self.steps[index].values) if exact else None
        return predict(found, self.model, self.time.runtime) if found is not None else None

    def seconds(self, index: int, call: CallTime | None) -> float:
        """Seconds of step `index`, from `call` where it is known."""
        return self.per_step[index] if call is None else call.seconds * self.steps[index].repeats + self.time.between

    def counts(self, index: int) -> dict[str, int | None]:
        """What is counted of step `index`, over its calls; FLOP are without those of the unknown nodes of a call."""
        return {
            "step": index,
            "calls": self.steps[index].repeats,
            "flops": self.flops[index] if self.flops is not None else None,
            "unknown_nodes": self.item.run.unknown_nodes,
            "bytes": self.moved[index],
            "peak_activation_bytes": self.peaks[index],
        }

    def known(self, step: Step, runtime: str, way: str) -> tuple[Sequence[str], Mapping[str, int]]:
        """(the node behind every kernel of a call at `step`, {node: bytes of activations alive at it})."""
        if step.key not in self._known:
            facts = self.item.source.facts(step.values)
            memory: Mapping[str, MemoryFacts] = facts.result("memory")
            names = call_names(facts, dtype=self.item.run.stage.dtype)[VARIANT[runtime]]
            self._known[step.key] = names, memory[way].live_bytes
        return self._known[step.key]


def _kernel_span(kernel: Kernel, name: str, start: float, end: float, bound: str) -> Span:
    args = {
        "node": name,
        "op": kernel.op,
        "role": kernel.role,
        "dtype": kernel.dtype,
        "flops": kernel.flops if kernel.known else None,
        "pointwise_flops": kernel.pointwise_flops if kernel.known else None,
        "bytes_read": kernel.bytes_read,
        "bytes_written": kernel.bytes_written,
        "bound": bound,
    }
    return Span(kernel.category, short_op(kernel.op), start, end, args)
