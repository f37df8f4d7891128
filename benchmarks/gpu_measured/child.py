"""The process of one row: gets ready, waits for its turn, measures, and prints what it found as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.gpu_measured.rows import BY_NAME, Row
from graphlab.errors import GraphlabError
from graphlab.lowering.example import example_inputs
from graphlab.lowering.flat import flat_module
from graphlab.measuring.interpret import measure, run_once, timer_for
from graphlab.measuring.materialize import inputs, weights
from graphlab.measuring.stage import Captured, call_profile, prepare_stage
from graphlab.report.profile_data import CallProfile
from graphlab.sources.stage import tensor_inputs
from graphlab.workload import Stage

MARK = "gpu-measured: "
"""What a line for the parent begins with; whatever else a library prints is not for it."""

ROUNDS = 15
SECONDS = 12.0
"""No round of whole calls but the first starts after so many."""
NODE_ROUNDS = 5
NODE_SECONDS = 6.0

Call = Callable[[], object]


@dataclass
class Ready:
    """A row that is captured; with weights and compiled where the row asks for it."""

    row: Row
    stage: Stage
    item: Captured
    device: torch.device
    calls: dict[str, Call]


def ready(row: Row, device: torch.device) -> Ready:
    """Everything that may take long and disturbs the others' clocks."""
    workload, stage = row.found()
    item = prepare_stage(workload, stage, device, trusted=True).calls[0]
    found = Ready(row, stage, item, device, {})
    if row.compiled:
        module, given = _module(found)
        compiled = torch.compile(module, fullgraph=True, dynamic=False, mode="reduce-overhead")
        found.calls["compiled"] = lambda: compiled(*given)
        for _ in range(3):
            with torch.inference_mode():
                found.calls["compiled"]()
        found.calls["eager"] = lambda: module(*given)
    return found


def _module(found: Ready) -> tuple[torch.fx.GraphModule, list[torch.Tensor]]:
    program = found.item.program
    assert program.exported is not None
    module = flat_module(program, weights(program.exported, found.device), found.device)
    given = example_inputs(program, found.device)
    if found.row.channels_last:
        for name, value in list(module.named_buffers()):
            if value.dim() == 4:
                module.register_buffer(name, value.contiguous(memory_format=torch.channels_last))
        given = [value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value for value in given]
    return module, given


def measured(found: Ready) -> Mapping[str, Any]:
    """Seconds of whole calls in interleaved rounds, then of the nodes; `notes` say what could not be measured."""
    if "eager" not in found.calls:
        module, given = _module(found)
        found.calls["eager"] = lambda: module(*given)
    notes: list[str] = []
    with torch.inference_mode():
        for _ in range(2):
            found.calls["eager"]()
        if found.device.type == "cuda":
            torch.cuda.synchronize()
            try:
                found.calls["replayed"] = _replay(found.calls["eager"])
            except RuntimeError as error:  # an operator that waits for the device cannot be recorded
                notes.append(f"not recorded as a CUDA graph: {_short(error)}")
        rounds = interleaved(found.calls, found.device)
    found.calls.clear()
    if found.device.type == "cuda":
        torch.cuda.empty_cache()
    nodes = None
    if not found.row.channels_last:
        try:
            nodes = by_group(found)
        except (GraphlabError, RuntimeError) as error:  # what was measured stays
            notes.append(f"nodes not measured: {_short(error)}")
    return {"row": found.row.name, "seconds": rounds, "notes": notes, "nodes": nodes}


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _replay(call: Call) -> Call:
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = call()

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def interleaved(calls: Mapping[str, Call], device: torch.device) -> dict[str, list[float]]:
    """{way: seconds of every round}; each round runs every way once, in an order that turns."""
    names = list(calls)
    found: dict[str, list[float]] = {name: [] for name in names}
    began = time.perf_counter()
    for index in range(ROUNDS + 1):
        for name in names[index % len(names) :] + names[: index % len(names)]:
            _wait(device)
            start = time.perf_counter()
            calls[name]()
            _wait(device)
            found[name].append(time.perf_counter() - start)
        if time.perf_counter() - began > SECONDS and index >= 1:
            break
    return {name: seconds[1:] for name, seconds in found.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def by_group(found: Ready) -> Mapping[str, Any]:
    """Measured seconds of the nodes by category, and of attention by kind, axis and tokens."""
    profile = nodes_of(found)
    attention = [
        (f"{site.kind}, {site.axis}, {site.q_tokens} x {site.kv_tokens}", node.seconds)
        for site in profile.attention
        for node in profile.nodes
        if node.attention == site.node
    ]
    return {
        "coverage": profile.coverage,
        "plain": profile.seconds_plain,
        "clocked": profile.seconds,
        "categories": summed((node.category, node.seconds) for node in profile.nodes),
        "attention": summed(attention),
    }


def nodes_of(found: Ready) -> CallProfile:
    """What `graphlab profile` says of the call, node by node."""
    item, stage, device = found.item, found.stage, found.device
    assert item.program.exported is not None
    roles = {name: spec.role for name, spec in tensor_inputs(stage).items()}
    values = weights(item.program.exported, device)
    slots = item.plan.slots(values, inputs(item.facts.graph, roles, device))
    run_once(item.plan, slots)
    times = measure(item.plan, slots, timer_for(device), rounds=NODE_ROUNDS, seconds=NODE_SECONDS)
    return call_profile(item, times, {})


def summed(rows: Iterable[tuple[str, float]]) -> dict[str, dict[str, float]]:
    """{group: {"nodes", "measured"}} of (group, seconds)."""
    found: dict[str, dict[str, float]] = {}
    for group, seconds in rows:
        into = found.setdefault(group, {"nodes": 0, "measured": 0.0})
        into["nodes"] += 1
        into["measured"] += seconds
    return found


def main(arguments: Sequence[str]) -> None:
    """NAME DEVICE: says that it is ready, waits for a line, says what it measured as JSON; each on a line with MARK."""
    name, device = arguments
    found = ready(BY_NAME[name], torch.device(device))
    print(f"{MARK}ready", flush=True)
    sys.stdin.readline()
    print(f"{MARK}{json.dumps(measured(found))}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
