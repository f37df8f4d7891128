"""A workload to an `AnalysisReport`: capture each stage, run the analyses, add the steps up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphlab.errors import OpRuleError
from graphlab.facts import AttentionSite, AttentionTraffic, MemoryFacts, NodeCost, known_sum
from graphlab.graph import Graph, Node
from graphlab.input_axes import axis_names
from graphlab.module_rows import module_rows
from graphlab.pipeline import Facts
from graphlab.polynomial import Exact
from graphlab.program import Program
from graphlab.report.data import (
    AttentionRow,
    Bytes,
    InputRow,
    NodeRow,
    StageReport,
)
from graphlab.report.stage_data import LiveTensor, Scaling, UnknownOp
from graphlab.scaling import StagePolynomials, stage_polynomials
from graphlab.sources.stage import axis_sizes, axis_texts, mismatch, program_for, tensor_inputs
from graphlab.symbolic import evaluate_text, names_in
from graphlab.workload import Stage, Workload

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """How to analyse: symbolic capture or static, unknown ops an error or a line, disk cache or none."""

    dynamic: bool = True
    strict: bool = False
    cache: bool = True


@dataclass(frozen=True)
class StageAnalysis:
    """One stage captured and analysed at the bindings of its first step."""

    workload: Workload
    stage: Stage
    program: Program
    values: Mapping[str, int | float]
    facts: Facts
    polynomials: StagePolynomials

    @property
    def graph(self) -> Graph:
        """The graph at integer sizes."""
        return self.facts.graph

    @property
    def sites(self) -> tuple[AttentionSite, ...]:
        """Attentions in call order."""
        sites: tuple[AttentionSite, ...] = self.facts.result("attention")
        return sites

    @property
    def costs(self) -> Mapping[str, NodeCost]:
        """{call: NodeCost}."""
        costs: Mapping[str, NodeCost] = self.facts.result("cost")
        return costs

    def holds_for(self, batch: int) -> bool:
        """Whether the capture is the model's graph at `batch`."""
        return mismatch(self.program.graph, axis_sizes(self.stage, {**self.values, "batch": batch})) is None

    def most_batch(self, top: int) -> int:
        """The largest batch up to `top` the capture holds for, by doubling and bisection; 0 for none."""
        low, high = 0, 1
        while high <= top and self.holds_for(high):
            low, high = high, high * 2
        high = min(high, top + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.holds_for(middle) else (low, middle)
        return low

    def last_values(self, batch: int | None = None) -> dict[str, int | float]:
        """Values of the last step, where a cache is longest, at `batch` where given."""
        steps = self.workload.steps(self.stage)
        values = dict(self.workload.step_values(self.stage, max(steps - 1, 0)))
        return values if batch is None else {**values, "batch": batch}

    def peak_bytes(self, batch: int | None = None) -> int:
        """Peak activation bytes of the last step, its inputs and so its cache among them, attention fused."""
        sizes = axis_sizes(self.stage, self.last_values(batch))
        if mismatch(self.program.graph, sizes) is not None:
            sizes = axis_sizes(self.stage, self.values if batch is None else {**self.values, "batch": batch})
        facts = self.facts.at({symbol: sizes[symbol] for symbol in self.program.graph.symbols})
        return int(facts.result("memory")["fused"].peak_bytes)

    def cache_bytes(self, batch: int | None = None) -> int:
        """Bytes of the inputs whose role is "cache" at the last step, at `batch` where given."""
        return cache_bytes(self.stage, self.graph, axis_sizes(self.stage, self.last_values(batch)))


def cache_bytes(stage: Stage, graph: Graph, sizes: Mapping[str, int]) -> int:
    """Bytes of the inputs of `stage` whose role is "cache" at `sizes` ({axis: size})."""
    total = 0
    for name, spec in tensor_inputs(stage).items():
        if spec.role == "cache":
            numel = math.prod(sizes[f"{name}.d{index}"] for index in range(len(spec.shape)))
            total += numel * graph.by_name[name].out.itemsize
    return total


def facts_of(stage: Stage, program: Program, sizes: Mapping[str, int]) -> Facts:
    """Facts about `program`, a capture of `stage` that holds at `sizes` ({axis: size})."""
    return Facts(program.graph, {symbol: sizes[symbol] for symbol in program.graph.symbols}, _packed(stage))


def analyze_stage(workload: Workload, stage: Stage, options: Options) -> StageAnalysis:
    """`stage` captured so that its guards hold at its first step, with facts and polynomials there."""
    values = workload.step_values(stage, 0)
    return analyze_program(workload, stage, program_for(stage, values, dynamic=options.dynamic, disk=options.cache))


def analyze_program(workload: Workload, stage: Stage, program: Program) -> StageAnalysis:
    """`program`, a capture of `stage` that holds at its first step, with facts and polynomials there."""
    values = workload.step_values(stage, 0)
    sizes = axis_sizes(stage, values)
    facts = facts_of(stage, program, sizes)
    texts = axis_texts(stage)
    axes = {symbol: texts[symbol] for symbol in program.graph.symbols}
    polynomials = stage_polynomials(program.graph, facts.result("cost"), facts.result("attention"), axes, values)
    return StageAnalysis(workload, stage, program, values, facts, polynomials)


def stage_report(analysis: StageAnalysis, options: Options) -> StageReport:
    """Everything about one stage, without a device."""
    workload, stage, graph = analysis.workload, analysis.stage, analysis.graph
    rows = tuple(_node_rows(analysis))
    unknown = _unknown(rows)
    if options.strict and unknown:
        listed = ", ".join(f"{item.op} ({item.nodes})" for item in unknown)
        raise OpRuleError(f"{stage.name} has ops without a rule: {listed}", hint="write a rule in graphlab/ops")
    memory = analysis.facts.result("memory")
    steps, calls = workload.steps(stage), workload.calls_per_step(stage)
    sums = _Sums(analysis, options)
    polynomials = analysis.polynomials
    one_call = Bytes(polynomials.bytes_materialized(analysis.values), polynomials.bytes_fused(analysis.values))
    return StageReport(
        name=stage.name,
        steps=steps,
        calls_per_step=calls,
        batch=evaluate_text(stage.batch, analysis.values),
        dtype=stage.dtype,
        parameters=sum(node.out.numel for node in graph.weights if node.kind == "parameter"),
        weight_bytes=_weight_bytes(graph),
        flops_per_step=known_sum(cost.flops for cost in analysis.costs.values()),
        pointwise_flops_per_step=known_sum(cost.pointwise_flops for cost in analysis.costs.values()),
        flops_total=sums.flops,
        pointwise_flops_total=sums.pointwise,
        bytes_per_step=one_call,
        bytes_total=Bytes(sums.materialized, sums.fused),
        peak_activation_bytes=Bytes(memory["materialized"].peak_bytes, memory["fused"].peak_bytes),
        peak_node=memory["fused"].peak_node,
        cache_bytes=analysis.cache_bytes(),
        weights=stage.weights or stage.name,
        symbols={name: int(analysis.values[name]) for name in polynomials.sizes.symbols},
        flops_expression=None if polynomials.flops is None else str(polynomials.flops.expression),
        bytes_expression={
            "materialized": str(polynomials.bytes_materialized.expression),
            "fused": str(polynomials.bytes_fused.expression),
        },
        scaling=tuple(_scaling(polynomials, analysis.values)),
        inputs=tuple(_input_rows(analysis)),
        attention=tuple(_attention_rows(analysis)),
        unknown=unknown,
        estimate=None,
        notes=(*stage.assumptions, *analysis.program.notes),
        nodes=rows,
        edges=tuple(_edges(graph)),
        modules=tuple(module_rows(graph)),
        at_peak=tuple(_live_tensors(graph, memory["fused"].at_peak)),
    )


class _Sums:
    """Costs of a whole generation of one stage: every step at its own bindings, guards checked at each.

    FLOP are None where no call of the stage has a rule.
    """

    def __init__(self, analysis: StageAnalysis, options: Options) -> None:
        self.flops: int | None = 0
        self.pointwise: int | None = 0
        self.materialized = self.fused = 0
        workload, stage = analysis.workload, analysis.stage
        if not changing(stage):
            self._add(analysis.polynomials, analysis.values, workload.calls(stage))
            return
        captured = [analysis]
        for step in range(workload.steps(stage)):
            values = workload.step_values(stage, step)
            self._add(self._polynomials(captured, values, options), values, workload.calls_per_step(stage, step))

    def _add(self, polynomials: StagePolynomials, values: Mapping[str, int | float], times: int) -> None:
        self.flops = _plus(self.flops, polynomials.flops, values, times)
        self.pointwise = _plus(self.pointwise, polynomials.pointwise_flops, values, times)
        self.materialized += polynomials.bytes_materialized(values) * times
        self.fused += polynomials.bytes_fused(values) * times

    @staticmethod
    def _polynomials(
        captured: list[StageAnalysis], values: Mapping[str, int | float], options: Options
    ) -> StagePolynomials:
        """Polynomials that hold at `values`; captures or expands anew where no known ones do."""
        stage = captured[0].stage
        sizes = axis_sizes(stage, values)
        for known in captured:
            if mismatch(known.program.graph, sizes) is None and known.polynomials.sizes.holds(values):
                return known.polynomials
        program = program_for(
            stage, values, dynamic=True, disk=options.cache, candidates=tuple(k.program for k in captured)
        )
        facts = facts_of(stage, program, sizes)
        texts = axis_texts(stage)
        axes = {symbol: texts[symbol] for symbol in program.graph.symbols}
        found = stage_polynomials(program.graph, facts.result("cost"), facts.result("attention"), axes, values)
        captured.append(replace(captured[0], program=program, values=values, facts=facts, polynomials=found))
        return found


def _plus(total: int | None, exact: Exact | None, values: Mapping[str, int | float], times: int) -> int | None:
    """`total` and `times` the value of `exact`; None where either is unknown."""
    return None if total is None or exact is None else total + exact(values) * times


def changing(stage: Stage) -> bool:
    """Whether a size of `stage` changes during the generation; what `step_bindings` bind may be for the eye only."""
    return bool(set(stage.step_bindings) & {name for text in axis_texts(stage).values() for name in names_in(text)})


def _packed(stage: Stage) -> dict[str, tuple[str, ...]]:
    """{"hidden_states.d1": ("height", "width")} of the axes the stage says are packed."""
    return {
        f"{name}.d{index}": tuple(meaning)
        for name, spec in tensor_inputs(stage).items()
        for index, meaning in spec.axes.items()
    }


def _weight_bytes(graph: Graph) -> dict[str, int]:
    """{dtype: bytes} of parameters, buffers and constants."""
    found: dict[str, int] = {}
    for node in graph.weights:
        found[node.out.dtype] = found.get(node.out.dtype, 0) + node.out.nbytes
    return dict(sorted(found.items()))


def _node_rows(analysis: StageAnalysis) -> Iterator[NodeRow]:
    roles = analysis.facts.result("roles")
    memory: Mapping[str, MemoryFacts] = analysis.facts.result("memory")
    whole, fused_bytes = memory["materialized"].live_bytes, memory["fused"].live_bytes
    traffic: Mapping[str, AttentionTraffic] = analysis.facts.result("fused-bytes")
    fused = {site.node for site in analysis.sites if site.fused}
    site_of = {member: site.node for site in analysis.sites for member in site.members}
    for node in analysis.graph.calls:
        cost = analysis.costs[node.name]
        spec = node.outputs[0]
        path, kind = _innermost(node)
        yield NodeRow(
            name=node.name,
            op=node.target,
            category=cost.category,
            role=roles[node.name],
            module=path,
            module_class=kind,
            source=node.source,
            shape=spec.shape if spec is not None else (),
            dtype=spec.dtype if spec is not None else "",
            flops=cost.flops,
            pointwise_flops=cost.pointwise_flops,
            bytes_read=cost.bytes_read,
            bytes_written=cost.bytes_written,
            score_traffic=traffic[node.name].materialized - cost.bytes if node.name in fused else 0,
            attention=site_of.get(node.name),
            live=Bytes(whole[node.name], fused_bytes[node.name]),
        )


def _live_tensors(graph: Graph, at_peak: Mapping[str, int]) -> Iterator[LiveTensor]:
    for name, nbytes in at_peak.items():
        node = graph.by_name[name]
        spec = node.outputs[0]
        shape, dtype = ((), "") if spec is None else (spec.shape, spec.dtype)
        yield LiveTensor(name, node.kind, shape, dtype, nbytes)


def _innermost(node: Node) -> tuple[str, str]:
    if not node.modules:
        return "", ""
    path, kind = node.modules[-1]
    return path, kind.rsplit(".", 1)[-1]


def _unknown(rows: tuple[NodeRow, ...]) -> tuple[UnknownOp, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.flops is None:
            counts[row.op] = counts.get(row.op, 0) + 1
    return tuple(UnknownOp(op, n, n / len(rows)) for op, n in sorted(counts.items(), key=lambda item: -item[1]))


def _edges(graph: Graph) -> Iterator[tuple[str, str]]:
    for node in graph.calls:
        for name in dict.fromkeys(node.refs):
            yield name, node.name


def _input_rows(analysis: StageAnalysis) -> Iterator[InputRow]:
    names = axis_names(analysis.program.graph, analysis.facts.result("axes"))
    for node, captured in zip(analysis.graph.inputs, analysis.program.graph.inputs, strict=True):
        yield InputRow(
            name=node.name,
            shape=node.out.shape,
            dtype=node.out.dtype,
            axes=tuple(names[f"{node.name}.d{i}"] for i in range(len(node.out.shape))),
            symbolic=tuple(isinstance(size, str) for size in captured.out.shape),
        )


def _attention_rows(analysis: StageAnalysis) -> Iterator[AttentionRow]:
    symbolic = analysis.polynomials.graph
    traffic: Mapping[str, AttentionTraffic] = analysis.facts.result("fused-bytes")
    for site in analysis.sites:
        q_tokens, kv_tokens, lead, head_dim = _site_sizes(analysis.graph, site, analysis.costs)
        q_text, kv_text = _token_dims(symbolic, site)
        yield AttentionRow(
            node=site.node,
            kind=site.kind,
            axis=site.axis,
            causal=site.causal,
            fused=site.fused,
            batch=lead // site.heads if site.heads else lead,
            heads=site.heads,
            q_tokens=q_tokens,
            kv_tokens=kv_tokens,
            head_dim=head_dim,
            q_tokens_expression=analysis.polynomials.text(q_text),
            kv_tokens_expression=analysis.polynomials.text(kv_text),
            flops=sum(analysis.costs[name].flops or 0 for name in site.contractions),
            score_bytes=traffic[site.node].score_bytes,
            bytes_fused=traffic[site.node].fused,
        )


def _token_dims(graph: Graph, site: AttentionSite) -> tuple[Any, Any]:
    """(query tokens, key tokens) as sizes of `graph`."""
    if site.fused:
        return graph.by_name[site.query].out.shape[site.q_dim], graph.by_name[site.key].out.shape[site.k_dim]
    scores = graph.by_name[site.node].out.shape
    return scores[site.q_dim], scores[site.k_dim]


def _site_sizes(graph: Graph, site: AttentionSite, costs: Mapping[str, NodeCost]) -> tuple[int, int, int, int]:
    """(query tokens, key tokens, batch times heads, head width) at integer sizes."""
    q_tokens, kv_tokens = _token_dims(graph, site)
    if site.fused:
        query = graph.by_name[site.query].out
        lead = query.numel // (q_tokens * query.shape[-1]) if q_tokens else 0
        return q_tokens, kv_tokens, lead, query.shape[-1]
    scores = graph.by_name[site.contractions[0]]
    lead = scores.out.numel // (q_tokens * kv_tokens)
    return q_tokens, kv_tokens, lead, (costs[scores.name].flops or 0) // (2 * scores.out.numel)


def _scaling(polynomials: StagePolynomials, values: Mapping[str, int | float]) -> Iterator[Scaling]:
    if polynomials.flops is None or not polynomials.flops.is_polynomial:
        return
    free = {symbol.name for symbol in polynomials.flops.expression.free_symbols}
    groups = {name: (name,) for name in polynomials.sizes.symbols if name in free}
    side = tuple(name for name in free if name in ("height", "width") or name.endswith((".h", ".w")))
    if side:
        groups["image_side"] = tuple(sorted(side))
    for name, members in groups.items():
        yield Scaling(name, polynomials.flops.degree(members), polynomials.flops.exponent(members, values))
