"""`stage_run`: one stage over a whole generation. `StageRun.series` is any count of it at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from graphlab.generation.recast import recast
from graphlab.generation.steps import Step, doubtful, interpolated, knots, steps_of, weights
from graphlab.generation.store import call_path, load_call, store_call
from graphlab.kernels.data import StageCall
from graphlab.kernels.extract import stage_call
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.sources.stage import axis_sizes, mismatch, program_for
from graphlab.stage_analysis import cache_bytes, facts_of
from graphlab.workload import Stage, Workload


@dataclass
class StageSource:
    """Makes the calls of one stage at any sizes, capturing as rarely as its guards allow; results are kept on disk.

    `dynamic` captures symbolically, so that one capture answers for many sizes; otherwise each capture is at the sizes
    asked for, in a fraction of the time.
    """

    stage: Stage
    dynamic: bool = True
    disk: bool = True
    dtype: str | None = None
    _captures: list[tuple[Program, Facts]] = field(default_factory=list)
    _calls: dict[tuple[tuple[str, int], ...], StageCall] = field(default_factory=dict)

    def at(self, values: Mapping[str, int | float]) -> StageCall:
        """One call of the stage under `values`, in `dtype` where one is asked for."""
        sizes = axis_sizes(self.stage, values)
        key = tuple(sorted(sizes.items()))
        if key not in self._calls:
            path = call_path(self.stage, sizes, dynamic=self.dynamic) if self.disk else None
            found = load_call(path)
            if found is None:
                found = self._make(values, sizes)
                store_call(path, found)
            self._calls[key] = replace(found, values=dict(values))
        call = self._calls[key]
        return call if self.dtype is None else recast(call, self.dtype)

    def facts(self, values: Mapping[str, int | float]) -> Facts:
        """What is known of the graph that `at(values)` is a call of; captured again where the call came from disk."""
        return self._capture(values, axis_sizes(self.stage, values))[1]

    def _make(self, values: Mapping[str, int | float], sizes: Mapping[str, int]) -> StageCall:
        program, facts = self._capture(values, sizes)
        return stage_call(
            facts,
            name=self.stage.name,
            dtype=self.stage.dtype,
            values=values,
            cache_bytes=cache_bytes(self.stage, program.graph, sizes),
            notes=(*self.stage.assumptions, *program.notes),
        )

    def _capture(self, values: Mapping[str, int | float], sizes: Mapping[str, int]) -> tuple[Program, Facts]:
        """(a capture that holds at `sizes`, facts about it there); what does not depend on sizes is found once."""
        for program, facts in self._captures:
            if mismatch(program.graph, sizes) is None:
                return program, facts.at({symbol: sizes[symbol] for symbol in program.graph.symbols})
        program = program_for(self.stage, values, dynamic=self.dynamic, disk=self.disk)
        facts = facts_of(self.stage, program, sizes)
        self._captures.append((program, facts))
        return program, facts


@dataclass(frozen=True)
class StageRun:
    """One stage over a generation: its steps, the calls worked out, and how many steps each of them stands for."""

    stage: Stage
    steps: tuple[Step, ...]
    at: tuple[Step, ...]
    calls: tuple[StageCall, ...]
    weights: tuple[float, ...]

    def series(self, quantity: Callable[[StageCall], int]) -> list[int]:
        """`quantity` of a call at every step, times the calls of that step."""
        known = [quantity(call) * step.repeats for step, call in zip(self.at, self.calls, strict=True)]
        return interpolated(self.steps, self.at, known)

    def level(self, quantity: Callable[[StageCall], int]) -> list[int]:
        """`quantity` of one call at every step: for what does not add up over calls, as memory and lengths."""
        return interpolated(self.steps, self.at, [quantity(call) for call in self.calls])

    def total(self, quantity: Callable[[StageCall], int]) -> int:
        """`quantity` over the whole generation."""
        return sum(self.series(quantity))

    @property
    def flops(self) -> int | None:
        """FLOP of contractions over the whole generation, `unknown_nodes` left out; None where no call has a rule."""
        return self.total(lambda call: call.flops) if self.first.counted else None

    @property
    def unknown_nodes(self) -> int:
        """Calls of one call's graph without a rule."""
        return self.first.unknown_nodes

    @property
    def first(self) -> StageCall:
        """The call of the first step."""
        return self.calls[0]

    @property
    def last(self) -> StageCall:
        """The call of the last step that is worked out, where a cache is longest."""
        return self.calls[-1]


def stage_run(workload: Workload, source: StageSource) -> StageRun:
    """`source`'s stage over one generation of `workload`, bindings in force."""
    steps = steps_of(workload, source.stage)
    at = knots(steps)
    while more := doubtful(steps, at, [_counts(step, source.at(step.values)) for step in at]):
        at = sorted([*at, *more], key=lambda step: step.index)
    calls = tuple(source.at(step.values) for step in at)
    return StageRun(source.stage, tuple(steps), tuple(at), calls, tuple(weights(steps, at)))


def _counts(step: Step, call: StageCall) -> tuple[int, ...]:
    """What must be known exactly of every step: the counts of a call, and all lengths that its attentions see."""
    shapes = [size for shape in call.attention_calls for size in (shape.batch, shape.q, shape.kv)]
    return (
        step.repeats,
        call.flops,
        call.pointwise_flops,
        *(call.bytes[way] for way in sorted(call.bytes)),
        *(call.peak_bytes[way] for way in sorted(call.peak_bytes)),
        call.cache_bytes,
        call.score_bytes,
        max(shapes, default=0),
        sum(shapes),
    )
