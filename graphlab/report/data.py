"""`AnalysisReport`: what `graphlab analyze` knows, as values; `to_dict` is what `--json` prints.

FLOP are integers with a multiply-add counted as 2, sizes are bytes, times are seconds and estimates.
docs/json_schema.md documents every key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from graphlab.facts import ROLES, known_sum
from graphlab.ops.rule import CATEGORIES
from graphlab.report.decoding import SIGNED
from graphlab.report.group import Group, falling
from graphlab.report.stage_data import AnalysisFacts, LiveTensor, ModuleRow, Scaling, UnknownOp

if TYPE_CHECKING:
    import networkx

SCHEMA = "graphlab.analysis/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """One quantity with attention scores written to memory, and with a fused attention kernel that keeps them."""

    materialized: int
    fused: int

    def to_dict(self) -> dict[str, int]:
        """{"materialized": bytes, "fused": bytes}."""
        return {"materialized": self.materialized, "fused": self.fused}


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One call: what it is, where it comes from and what it costs. None: no rule for its op.

    `score_traffic` is what a fused attention would move more with its scores in memory: groups count it, so
    that the bytes of a view add up to the materialized total however attention is spelled. `attention` is the
    anchor node of the attention it is part of. `seconds` is its ideal time on the device, that of a whole
    attention on its anchor; None without a device. `live` are the bytes of activations alive as it runs, None where
    nobody worked them out.
    """

    name: str
    op: str
    category: str
    role: str
    module: str
    module_class: str
    source: str
    shape: tuple[int, ...]
    dtype: str
    flops: int | None
    pointwise_flops: int | None
    bytes_read: int
    bytes_written: int
    attention: str | None = None
    seconds: float | None = None
    score_traffic: int = 0
    live: Bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return own | {"shape": list(self.shape), "live": self.live.to_dict() if self.live is not None else None}

    @property
    def group(self) -> Group:
        """This call as a Group of one."""
        return Group(
            1,
            self.flops,
            self.pointwise_flops,
            self.bytes_read + self.bytes_written + self.score_traffic,
            int(self.flops is None),
            self.seconds,
        )


def grouped(rows: Iterable[NodeRow], key: str) -> dict[str, Group]:
    """Sums of `rows` of equal `key` ("category", "role", "op", "module"), in falling FLOPs."""
    groups: dict[str, Group] = {}
    for row in rows:
        name = getattr(row, key)
        groups[name] = groups.get(name, Group()) + row.group
    return falling(groups)


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """One attention in call order; None is unknown. Sizes are those of one call at the bindings in force.

    `bytes_fused` is what a fused kernel moves.
    """

    node: str
    kind: str | None
    axis: str | None
    causal: bool | None
    fused: bool
    batch: int
    heads: int | None
    q_tokens: int
    kv_tokens: int
    head_dim: int
    q_tokens_expression: str
    kv_tokens_expression: str
    flops: int
    score_bytes: int
    bytes_fused: int

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Estimate:
    """An ideal time on a device, never a measurement: each call at its roofline, no launch overhead.

    `seconds` is for one call of the stage; `bound` is "compute" or "memory", whichever takes most of it;
    `intensity` is FLOP per byte of the whole call, None where no FLOP is known; `ridge` the device's own: where its
    `peak`, in FLOP/s for the stage's dtype, meets its `bandwidth`, in B/s.
    """

    seconds: float
    bound: str
    intensity: float | None
    ridge: float
    seconds_total: float
    seconds_materialized: float
    peak: float
    bandwidth: float

    def bound_of(self, seconds: float, nbytes: int) -> str:
        """Which side of the roofline makes a call of `nbytes` take `seconds`: "memory" where its bytes alone do."""
        return "compute" if seconds > nbytes / self.bandwidth else "memory"

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether the workload fits the device's memory, and the largest batch that does (None: none, or not searched).

    `batch_limit` is the largest batch the captures hold for: where `largest_batch` equals it, more may fit.
    """

    device_bytes: int
    weights_bytes: int
    activation_bytes: int
    cache_bytes: int
    fits: bool
    fits_one_stage_at_a_time: bool
    largest_batch: int | None
    batch_limit: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input of a stage: its shape at the bindings in force and the name of each axis ("sample.h")."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    axes: tuple[str, ...]
    symbolic: tuple[bool, ...]

    def to_dict(self) -> dict[str, Any]:
        """{"name", "shape", "dtype", "axes", "symbolic"}."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "axes": list(self.axes),
            "symbolic": list(self.symbolic),
        }


@dataclass(frozen=True, slots=True)
class StageReport:
    """Everything about one stage. Per-step numbers are of one call at the bindings in force.

    FLOP, and their expression, are without those of the calls in `unknown`; None where no call has a rule.
    """

    name: str
    steps: int
    calls_per_step: int
    batch: int
    dtype: str
    parameters: int
    weight_bytes: Mapping[str, int]
    flops_per_step: int | None
    pointwise_flops_per_step: int | None
    flops_total: int | None
    pointwise_flops_total: int | None
    bytes_per_step: Bytes
    bytes_total: Bytes
    peak_activation_bytes: Bytes
    peak_node: str
    cache_bytes: int
    weights: str
    symbols: Mapping[str, int]
    flops_expression: str | None
    bytes_expression: Mapping[str, str]
    scaling: tuple[Scaling, ...]
    inputs: tuple[InputRow, ...]
    attention: tuple[AttentionRow, ...]
    unknown: tuple[UnknownOp, ...]
    estimate: Estimate | None
    notes: tuple[str, ...]
    nodes: tuple[NodeRow, ...]
    edges: tuple[tuple[str, str], ...]
    modules: tuple[ModuleRow, ...] = ()
    at_peak: tuple[LiveTensor, ...] = ()
    analyses: tuple[AnalysisFacts, ...] = ()

    def by(self, key: str) -> dict[str, Group]:
        """Costs of one call grouped by "category", "role", "op", or "module" (full path), in falling FLOPs."""
        return grouped(self.nodes, key)

    @property
    def unknown_nodes(self) -> int:
        """Calls without a rule: their FLOP are in no sum."""
        return sum(item.nodes for item in self.unknown)

    @property
    def categories(self) -> dict[str, Group]:
        """Group of every operator category that occurs, in the fixed order of CATEGORIES."""
        groups = self.by("category")
        return {name: groups[name] for name in CATEGORIES if name in groups}

    @property
    def roles(self) -> dict[str, Group]:
        """Group of every role that occurs, in the fixed order of ROLES."""
        groups = self.by("role")
        return {name: groups[name] for name in ROLES if name in groups}

    def to_dict(self) -> dict[str, Any]:
        """The stage as `--json` prints it."""
        reads: dict[str, list[str]] = {}
        for producer, consumer in self.edges:
            reads.setdefault(consumer, []).append(producer)
        return {
            "name": self.name,
            "steps": self.steps,
            "calls_per_step": self.calls_per_step,
            "batch": self.batch,
            "dtype": self.dtype,
            "parameters": self.parameters,
            "weight_bytes": dict(self.weight_bytes),
            "unknown_nodes": self.unknown_nodes,
            "flops_per_step": self.flops_per_step,
            "pointwise_flops_per_step": self.pointwise_flops_per_step,
            "flops_total": self.flops_total,
            "pointwise_flops_total": self.pointwise_flops_total,
            "bytes_per_step": self.bytes_per_step.to_dict(),
            "bytes_total": self.bytes_total.to_dict(),
            "peak_activation_bytes": self.peak_activation_bytes.to_dict(),
            "peak_node": self.peak_node,
            "cache_bytes": self.cache_bytes,
            "weights": self.weights,
            "symbols": dict(self.symbols),
            "flops_expression": self.flops_expression,
            "bytes_expression": dict(self.bytes_expression),
            "scaling": {item.symbol: item.to_dict() for item in self.scaling},
            "inputs": [item.to_dict() for item in self.inputs],
            "categories": {name: group.to_dict() for name, group in self.categories.items()},
            "roles": {name: group.to_dict() for name, group in self.roles.items()},
            "attention": [row.to_dict() for row in self.attention],
            "unknown": [item.to_dict() for item in self.unknown],
            "estimate": self.estimate.to_dict() if self.estimate is not None else None,
            "notes": list(self.notes),
            "modules": [row.to_dict() for row in self.modules],
            "at_peak": [tensor.to_dict() for tensor in self.at_peak],
            "nodes": [{**row.to_dict(), "reads": reads.get(row.name, [])} for row in self.nodes],
            "analyses": [item.to_dict() for item in self.analyses],
        }

    def to_networkx(self) -> networkx.DiGraph:
        """The stage as a directed graph: a node a call, input or weight, with its facts as attributes.

        Edges run from producer to consumer. Reachability, dominators and the critical path are networkx's
        own functions; `weight` on each edge is the FLOPs of the consumer, for longest-path questions, which take
        a number everywhere: it is 0 where the consumer has no rule, whose `flops` say None.
        """
        import networkx as nx

        graph = nx.DiGraph(name=self.name)
        for row in self.nodes:
            facts = {name: getattr(row, name) for name in row.__slots__ if name != "name"}
            graph.add_node(row.name, kind="call", **facts)
        flops = {row.name: row.flops or 0 for row in self.nodes}
        inputs = {row.name for row in self.inputs}
        for producer, consumer in self.edges:
            if producer not in graph:
                graph.add_node(producer, kind="input" if producer in inputs else "weight")
            graph.add_edge(producer, consumer, weight=flops.get(consumer, 0))
        return graph


def distinct_weights(stages: Iterable[StageReport]) -> list[StageReport]:
    """The first stage of every set of weights: prefill and decode hold one set between them."""
    return list({stage.weights: stage for stage in reversed(list(stages))}.values())[::-1]


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """What a workload is and costs: its stages, their sums, and everything that had to be assumed."""

    source: str
    workload: str
    device: str | None
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    assumptions: tuple[str, ...]
    stages: tuple[StageReport, ...]
    fit: Fit | None

    @property
    def totals(self) -> dict[str, Any]:
        """Sums over the stages of one generation."""
        stages = self.stages
        seconds = [s.estimate.seconds_total for s in stages if s.estimate is not None]
        return {
            "parameters": sum(s.parameters for s in distinct_weights(stages)),
            "weight_bytes": sum(sum(s.weight_bytes.values()) for s in distinct_weights(stages)),
            "flops": known_sum(s.flops_total for s in stages),
            "pointwise_flops": known_sum(s.pointwise_flops_total for s in stages),
            "bytes": {
                "materialized": sum(s.bytes_total.materialized for s in stages),
                "fused": sum(s.bytes_total.fused for s in stages),
            },
            "peak_activation_bytes": {
                "materialized": max((s.peak_activation_bytes.materialized for s in stages), default=0),
                "fused": max((s.peak_activation_bytes.fused for s in stages), default=0),
            },
            "seconds_estimate": sum(seconds) if seconds else None,
            "unknown_nodes": sum(s.unknown_nodes for s in stages),
        }

    def stage(self, name: str) -> StageReport:
        """The stage called `name`; KeyError otherwise."""
        return next(stage for stage in self.stages if stage.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "schema": SCHEMA,
            "source": self.source,
            "workload": self.workload,
            "device": self.device,
            "bindings": dict(self.bindings),
            "assumptions": list(self.assumptions),
            "stages": [stage.to_dict() for stage in self.stages],
            "totals": self.totals,
            "fit": self.fit.to_dict() if self.fit is not None else None,
        }

    def to_networkx(self, stage: str | None = None) -> networkx.DiGraph:
        """The graph of `stage`; of every stage side by side, nodes named "stage/node", when None."""
        import networkx as nx

        if stage is not None:
            return self.stage(stage).to_networkx()
        if len(self.stages) == 1:
            return self.stages[0].to_networkx()
        graph = nx.DiGraph()
        for item in self.stages:
            graph = nx.union(graph, nx.relabel_nodes(item.to_networkx(), lambda n, s=item.name: f"{s}/{n}"))
        return graph
