"""`ProfileReport`: what `graphlab profile` measured, as values; `to_dict` is what `--json` prints.

Every time is in seconds and was measured on the machine the report names. docs/json_schema.md documents every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.facts import ROLES
from graphlab.ops.rule import CATEGORIES
from graphlab.report.decoding import SIGNED

SCHEMA = "graphlab.profile/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""

OUTSIDE_ATTENTION = "(outside attention)"
"""Group of the calls that are part of no attention."""

LEAST_COVERAGE = 0.95
"""A call whose nodes take a smaller share of the wall time gets a note."""


@dataclass(frozen=True, slots=True)
class TimeGroup:
    """Measured time of the calls of one category, role, module, op or attention."""

    nodes: int = 0
    seconds: float = 0.0

    def __add__(self, other: TimeGroup) -> TimeGroup:
        return TimeGroup(self.nodes + other.nodes, self.seconds + other.seconds)

    def to_dict(self) -> dict[str, int | float]:
        """{"nodes", "seconds"}."""
        return {"nodes": self.nodes, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class NodeTime:
    """One call of the graph: what it is, and the median, 10th and 90th percentile of its time over the rounds.

    `attention` is the anchor node of the attention it is part of. `name` is that of the stage's graph. `predicted` are
    the seconds a time model estimates for it, None where none was asked.
    """

    name: str
    op: str
    category: str
    role: str
    module: str
    attention: str | None
    seconds: float
    low: float
    high: float
    predicted: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class AttentionTime:
    """One attention in call order: its core calls together (products, scale, softmax), projections left out."""

    node: str
    kind: str | None
    axis: str | None
    fused: bool
    q_tokens: int
    kv_tokens: int
    nodes: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class CallProfile:
    """One call of a stage, run `rounds` times at the sizes of `step`; it stands for `times` calls of a generation.

    `seconds` is the median wall time of a run with a clock around every node, `low` and `high` its 10th and 90th
    percentile; `seconds_plain` the median without the clocks. `coverage` is the share of the wall time that falls on
    nodes of the graph, the median over the rounds. `seconds_unmapped` are operations the graph does not show (size
    arithmetic). Medians of parts do not add up to the median of the whole exactly.
    """

    step: int
    times: float
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    rounds: int
    seconds: float
    low: float
    high: float
    seconds_plain: float
    coverage: float
    seconds_unmapped: float
    nodes: tuple[NodeTime, ...]
    attention: tuple[AttentionTime, ...]

    @property
    def seconds_attributed(self) -> float:
        """Sum of the medians of all nodes."""
        return sum(node.seconds for node in self.nodes)

    def by(self, key: str) -> dict[str, TimeGroup]:
        """Times grouped by "category", "role", "op", "module" (full path) or "attention", longest first."""
        groups: dict[str, TimeGroup] = {}
        for node in self.nodes:
            name = getattr(node, key)
            name = OUTSIDE_ATTENTION if name is None else name
            groups[name] = groups.get(name, TimeGroup()) + TimeGroup(1, node.seconds)
        return dict(sorted(groups.items(), key=lambda item: (-item[1].seconds, item[0])))

    def to_dict(self) -> dict[str, Any]:
        """The call as `--json` prints it, its nodes one by one."""
        return {
            "step": self.step,
            "times": self.times,
            "bindings": dict(self.bindings),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "low": self.low,
            "high": self.high,
            "seconds_plain": self.seconds_plain,
            "seconds_attributed": self.seconds_attributed,
            "seconds_unmapped": self.seconds_unmapped,
            "coverage": self.coverage,
            "categories": _dicts(_ordered(self.by("category"), CATEGORIES)),
            "roles": _dicts(_ordered(self.by("role"), ROLES)),
            "attention": [item.to_dict() for item in self.attention],
            "nodes": [item.to_dict() for item in self.nodes],
        }


@dataclass(frozen=True, slots=True)
class StageProfile:
    """One stage: the calls that were run, and what they say about a whole generation.

    `calls` holds one call, or, where sizes change from step to step, those of the first, middle and last step.
    A generation makes `calls_total` calls.
    """

    name: str
    dtype: str
    steps: int
    calls_total: int
    calls: tuple[CallProfile, ...]
    notes: tuple[str, ...] = ()

    @property
    def interpolated(self) -> bool:
        """Whether times of steps in between were interpolated, not measured."""
        return 1 < len(self.calls) < self.steps

    @property
    def coverage(self) -> float:
        """The lowest of the calls'."""
        return min(call.coverage for call in self.calls)

    @property
    def seconds_total(self) -> float:
        """Wall time of all calls of all steps of a generation, from the calls that were run."""
        return sum(call.seconds * call.times for call in self.calls)

    def by(self, key: str) -> dict[str, TimeGroup]:
        """Times of a whole generation by "category", "role", "op", "module" or "attention", longest first.

        `nodes` are those of one call.
        """
        groups: dict[str, TimeGroup] = {}
        for call in self.calls:
            for name, group in call.by(key).items():
                old = groups.get(name, TimeGroup())
                groups[name] = TimeGroup(max(old.nodes, group.nodes), old.seconds + group.seconds * call.times)
        return dict(sorted(groups.items(), key=lambda item: (-item[1].seconds, item[0])))

    def to_dict(self) -> dict[str, Any]:
        """The stage as `--json` prints it."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "steps": self.steps,
            "calls_total": self.calls_total,
            "seconds_total": self.seconds_total,
            "interpolated": self.interpolated,
            "coverage": self.coverage,
            "categories": _dicts(_ordered(self.by("category"), CATEGORIES)),
            "roles": _dicts(_ordered(self.by("role"), ROLES)),
            "ops": _dicts(self.by("op")),
            "modules": _dicts(self.by("module")),
            "calls": [call.to_dict() for call in self.calls],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """Measured times of a workload: its stages, and everything needed to read the numbers.

    `device` is the model of the processor, `device_type` torch's name of its kind ("cpu", "cuda"). `rounds` is what
    was asked for; each call says how many it got. `predicted_for` is the device whose time model stands beside the
    measured times, None without one.
    """

    source: str
    workload: str
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    device: str
    device_type: str
    threads: int
    torch_version: str
    rounds: int
    assumptions: tuple[str, ...]
    stages: tuple[StageProfile, ...]
    notes: tuple[str, ...]
    predicted_for: str | None = None

    @property
    def coverage(self) -> float:
        """The lowest of the stages'."""
        return min(stage.coverage for stage in self.stages)

    @property
    def seconds_total(self) -> float:
        """Sum over the stages of one generation."""
        return sum(stage.seconds_total for stage in self.stages)

    def stage(self, name: str) -> StageProfile:
        """The stage called `name`; KeyError otherwise."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "workload": self.workload,
            "bindings": dict(self.bindings),
            "device": self.device,
            "device_type": self.device_type,
            "threads": self.threads,
            "torch_version": self.torch_version,
            "rounds": self.rounds,
            "seconds_total": self.seconds_total,
            "coverage": self.coverage,
            "predicted_for": self.predicted_for,
            "assumptions": list(self.assumptions),
            "stages": [stage.to_dict() for stage in self.stages],
            "notes": list(self.notes),
        }


def interpolation_weights(counts: Sequence[int], sampled: Sequence[int]) -> list[float]:
    """How many calls each of the `sampled` steps stands for; `counts` are the calls of every step.

    `sampled` ascends from the first step to the last; times in between lie on the straight line between two samples,
    so their calls are shared out by distance. A single sample stands for every call. The sum is that of `counts`.
    """
    if len(sampled) == 1:
        return [float(sum(counts))]
    weights = [0.0] * len(sampled)
    at = 0
    for step, count in enumerate(counts):
        while at + 2 < len(sampled) and step >= sampled[at + 1]:
            at += 1
        right = (step - sampled[at]) / (sampled[at + 1] - sampled[at])
        weights[at] += count * (1 - right)
        weights[at + 1] += count * right
    return weights


def _ordered(groups: Mapping[str, TimeGroup], order: Iterable[str]) -> dict[str, TimeGroup]:
    return {name: groups[name] for name in order if name in groups}


def _dicts(groups: Mapping[str, TimeGroup]) -> dict[str, dict[str, int | float]]:
    return {name: group.to_dict() for name, group in groups.items()}
