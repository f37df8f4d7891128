"""One stage of a workload to a `StageProfile`: captured, given values, run, and mapped back to its nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.export import ExportedProgram

from graphlab.errors import GraphlabError, UnsafeSourceError
from graphlab.facts import AttentionSite
from graphlab.measuring.interpret import Measured, measure, run_once, timer_for
from graphlab.measuring.materialize import has_values, inputs, weights
from graphlab.measuring.memory import needed_bytes, refuse_too_large
from graphlab.measuring.plan import Plan, plan
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.profile_data import (
    LEAST_COVERAGE,
    AttentionTime,
    CallProfile,
    NodeTime,
    StageProfile,
    interpolation_weights,
)
from graphlab.sources.build import module_of
from graphlab.sources.stage import axis_sizes, program_for, tensor_inputs
from graphlab.stage_analysis import changing
from graphlab.workload import Stage, Workload

PURE = ("aten", "prims", "higher_order", "graphlab")
"""Namespaces of operators that compute and do nothing else: what a file's program may run."""


@dataclass(frozen=True, slots=True)
class Running:
    """How to run: where, how often, and for how long at most (seconds of the rounds of one call)."""

    device: torch.device
    rounds: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stage about to be run: the steps to run, captured; nothing is allocated."""

    workload: Workload
    stage: Stage
    calls: tuple[Captured, ...]


@dataclass(frozen=True, slots=True)
class Captured:
    """A step of a stage, with its graph at integer sizes and the calls it stands for."""

    step: int
    times: float
    program: Program
    facts: Facts
    plan: Plan


def prepare_stage(workload: Workload, stage: Stage, device: torch.device, *, trusted: bool) -> Prepared:
    """`stage`, which runs at least once, captured at one step, or at the first, middle and last where sizes change.

    `trusted` says whether a captured program may call operators of other libraries than torch. GraphlabError when it
    does not fit the memory of `device`, or the program is only known by its graph.
    """
    built = stage
    if stage.build is not None:
        module = module_of(stage)
        built = replace(stage, build=lambda: module)
    steps = workload.steps(stage)
    sampled = sampled_steps(steps, change=changing(stage))
    counts = [workload.calls(stage)]
    if len(sampled) > 1:
        counts = [workload.calls_per_step(stage, step) for step in range(steps)]
    shares = zip(sampled, interpolation_weights(counts, sampled), strict=True)
    calls = tuple(_captured(workload, built, step, times, device, trusted) for step, times in shares)
    for call in calls:
        refuse_too_large(stage.name, needed_bytes(call.facts), device)
    return Prepared(workload, built, calls)


def profile_stage(prepared: Prepared, running: Running) -> StageProfile:
    """`prepared` measured. GraphlabError names the node of an operator that cannot be run on the device."""
    workload, stage = prepared.workload, prepared.stage
    program = prepared.calls[0].program
    assert program.exported is not None
    values = weights(program.exported, running.device)
    calls = tuple(_call(prepared, item, values, running) for item in prepared.calls)
    return StageProfile(
        name=stage.name,
        dtype=stage.dtype,
        steps=workload.steps(stage),
        calls_total=workload.calls(stage),
        calls=calls,
        notes=(*_random(program.exported), *call_notes(calls), *_guidance(prepared), *program.notes),
    )


def sampled_steps(steps: int, *, change: bool) -> tuple[int, ...]:
    """First, middle and last of `steps`, each once; the first alone where nothing changes."""
    return tuple(sorted({0, (steps - 1) // 2, steps - 1})) if change else (0,)


def _captured(
    workload: Workload, stage: Stage, step: int, times: float, device: torch.device, trusted: bool
) -> Captured:
    values = workload.step_values(stage, step)
    program = program_for(stage, values, dynamic=False, disk=False)
    if program.exported is None:
        raise GraphlabError(
            f"{stage.name} is only known by its graph, which cannot be run",
            hint="profile the model's folder, a .pt2, or file.py:function",
        )
    if stage.program is not None and not trusted:
        refuse_foreign(program)
    sizes = axis_sizes(stage, values)
    packed = {f"{n}.d{i}": tuple(m) for n, spec in tensor_inputs(stage).items() for i, m in spec.axes.items()}
    facts = Facts(program.graph, {symbol: sizes[symbol] for symbol in program.graph.symbols}, packed)
    return Captured(step, times, program, facts, plan(program.exported, program.graph, device))


def refuse_foreign(program: Program) -> None:
    """UnsafeSourceError when `program` calls operators of other libraries, which could do anything."""
    assert program.exported is not None
    for module in program.exported.graph_module.modules():
        nodes = module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ()
        for node in nodes:
            namespace = str(getattr(node.target, "namespace", PURE[0]))
            if namespace not in PURE:
                raise UnsafeSourceError(
                    f"{program.name} calls {node.target}, an operator of the library {namespace!r}; nothing was run",
                    hint="a program read from a file may only run torch's own operators",
                )


def _call(prepared: Prepared, item: Captured, values: Mapping[str, torch.Tensor], running: Running) -> CallProfile:
    stage = prepared.stage
    roles = {name: spec.role for name, spec in tensor_inputs(stage).items()}
    slots = item.plan.slots(values, inputs(item.facts.graph, roles, running.device))
    half = stage.dtype in ("float16", "bfloat16") and stage.program is None
    run_once(item.plan, slots, hint="pass --dtype float32" if half else None)
    measured = measure(item.plan, slots, timer_for(running.device), rounds=running.rounds, seconds=running.seconds)
    bound = prepared.workload.step_values(stage, item.step)
    return call_profile(item, measured, {name: bound[name] for name in stage.step_bindings})


def call_profile(item: Captured, measured: Measured, bindings: Mapping[str, int | float]) -> CallProfile:
    """`measured` rounds of `item`, mapped to the nodes of its graph by name."""
    sites: tuple[AttentionSite, ...] = item.facts.result("attention")
    each = [sorted(seconds) for seconds in zip(*measured.steps, strict=True)]
    steps = item.plan.steps
    nodes = tuple(_node_times(item, each, sites))
    mapped = [index for index, step in enumerate(steps) if step.name is not None]
    rounds = zip(measured.steps, measured.walls, strict=True)
    shares = sorted(sum(seconds[index] for index in mapped) / wall for seconds, wall in rounds)
    unmapped = [_median(seconds) for step, seconds in zip(steps, each, strict=True) if step.name is None]
    walls = sorted(measured.walls)
    return CallProfile(
        step=item.step,
        times=item.times,
        bindings=bindings,
        rounds=len(walls),
        seconds=_median(walls),
        low=quantile(walls, 0.1),
        high=quantile(walls, 0.9),
        seconds_plain=_median(sorted(measured.plain)),
        coverage=_median(shares),
        seconds_unmapped=sum(unmapped),
        nodes=nodes,
        attention=tuple(_attention_times(item.facts, sites, nodes)),
    )


def _node_times(item: Captured, each: Sequence[Sequence[float]], sites: Sequence[AttentionSite]) -> Iterator[NodeTime]:
    facts = item.facts
    costs, roles = facts.result("cost"), facts.result("roles")
    site_of = {member: site.node for site in sites for member in site.members}
    for step, seconds in zip(item.plan.steps, each, strict=True):
        if step.name is None:
            continue
        node = facts.graph.by_name[step.name]
        yield NodeTime(
            name=node.name,
            op=node.target,
            category=costs[node.name].category,
            role=roles[node.name],
            module=node.modules[-1][0] if node.modules else "",
            attention=site_of.get(node.name),
            seconds=_median(seconds),
            low=quantile(seconds, 0.1),
            high=quantile(seconds, 0.9),
        )


def _attention_times(
    facts: Facts, sites: Sequence[AttentionSite], nodes: Sequence[NodeTime]
) -> Iterator[AttentionTime]:
    for site in sites:
        members = [node for node in nodes if node.attention == site.node]
        if site.fused:
            q_tokens = facts.graph.by_name[site.query].out.shape[site.q_dim]
            kv_tokens = facts.graph.by_name[site.key].out.shape[site.k_dim]
        else:
            scores = facts.graph.by_name[site.node].out.shape
            q_tokens, kv_tokens = scores[site.q_dim], scores[site.k_dim]
        seconds = sum(node.seconds for node in members)
        yield AttentionTime(
            site.node, site.kind, site.axis, site.fused, int(q_tokens), int(kv_tokens), len(members), seconds
        )


def _random(program: ExportedProgram) -> list[str]:
    tensors = [*program.state_dict.values(), *program.constants.values()]
    drawn = sum(not has_values(tensor) for tensor in tensors if isinstance(tensor, torch.Tensor))
    return [f"{drawn} of {len(tensors)} weight tensors had no values and were drawn at random"] if drawn else []


def call_notes(calls: Sequence[CallProfile]) -> list[str]:
    """What a reader must know about the measured `calls`: interpolation, low coverage, rounds that differ much."""
    notes: list[str] = []
    if len(calls) > 1:
        measured = ", ".join(str(call.step) for call in calls)
        notes.append(f"steps {measured} were measured; the generation is interpolated linearly between them")
    for call in calls:
        if call.coverage < LEAST_COVERAGE:
            notes.append(
                f"only {call.coverage:.1%} of the wall time of step {call.step} falls on nodes: they are too short"
            )
        elif call.seconds_attributed < LEAST_COVERAGE * call.seconds:
            share = call.seconds_attributed / call.seconds
            notes.append(
                f"the medians of the nodes of step {call.step} add up to {share:.1%} of the median wall time: "
                "rounds differ, the machine may be busy"
            )
    return notes


def _guidance(prepared: Prepared) -> list[str]:
    count = prepared.workload.calls_per_step(prepared.stage)
    if count < 2:
        return []
    return [f"the {count} calls of a step count one by one; a pipeline may run them as one call of {count} x the batch"]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ascending values lie, on the line between the two nearest."""
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _median(ordered: Sequence[float]) -> float:
    return quantile(ordered, 0.5)
