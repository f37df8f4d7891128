"""Measured calls beside predicted ones: `python -m benchmarks.gpu_measured.table FILE.json [--markdown PATH]`.

FILE.json holds `runs`, each what `python -m benchmarks.gpu_measured` wrote.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.gpu_measured.rows import BY_NAME, ROWS
from graphlab.characterization.measured import as_captured
from graphlab.generation.runs import StageSource
from graphlab.hardware import load_device
from graphlab.kernels.data import Attention, Kernel
from graphlab.prediction.constants import gpu_constants
from graphlab.prediction.gpu import GpuModel
from graphlab.prediction.predict import predict

WAYS = ("eager", "replayed", "compiled")
SETTING = ("sd-vae", "animatediff-b2")
"""Calls that a constant of the model was set on; the others judge."""

HEAD = """\
# GPU times measured against predicted ones

Written by `python -m benchmarks.gpu_measured.table benchmarks/gpu_measured/results/h100-sxm.json --markdown
docs/gpu_measured.md`. What the GPU took is in that file, as `python -m benchmarks.gpu_measured` wrote it.

After these rows had been seen, two things were put into the time model (cost_model.md), each with one constant set on
one of them by `python -m benchmarks.gpu_measured.latencies`: a group norm's few blocks (`sd-vae`), and the least time
of a block of attention (temporal self-attention of `animatediff-b2`). Calls that set neither judge. For the first
constant `sdxl-vae` is the one other call with group norms alone; for the second `svd-b2` is the one other whose nodes
could be measured with attention over frames (those of `modelscope-b2` could not).

One call of a network, random weights and inputs; the batch is 2 where a pipeline guides with a doubled batch. Seconds
are medians of interleaved rounds, one process measuring at a time, with the shortest and the longest round.

- *eager*: the captured graph op by op, fused attention, from Python. Where the host is slower than the device this is
  the host's time, and no more than that: one call took 1.8 times as long in one run as in the other. It is the graph
  that is called and not the model's own Python, and hosts differ.
- *replayed*: the same kernels as one CUDA graph, without a host. Predicted: the kernels of *eager*, each of which takes
  at least what one in a replayed graph does.
- *compiled*: torch.compile in the mode "reduce-overhead", all of run 2, where it was asked for in every row.

An error is predicted / measured - 1. `-last` is the channels-last layout. Which kernels PyTorch chose for attention was
not recorded; the model's are FlashAttention-2's.
""".splitlines()


@dataclass(frozen=True)
class Pair:
    """A call one way: its rounds, and what the model says, in seconds."""

    row: str
    run: int
    way: str
    seconds: tuple[float, ...]
    predicted: float

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.seconds)

    @property
    def error(self) -> float:
        """Predicted / measured - 1."""
        return self.predicted / self.median - 1


@dataclass(frozen=True)
class Prediction:
    """What the model says of a call: {way: seconds}, and seconds of its kernels by category and by attention."""

    ways: Mapping[str, float]
    categories: Mapping[str, float]
    attention: Mapping[str, float]


@cache
def prediction(name: str, hardware: str, *, latencies: bool = True) -> Prediction:
    """Of one call of the row `name`; without `latencies`, as if group norms and blocks of attention had none."""
    row = BY_NAME[name]
    workload, stage = row.found()
    call = StageSource(stage, dynamic=False).at(workload.step_values(stage, 0))
    constants = gpu_constants()
    if not latencies:
        constants = replace(constants, moment_seconds=0.0, attention_block_seconds=0.0)
    model = GpuModel(load_device(hardware), constants)
    graph = GpuModel(load_device(hardware), replace(constants, kernel_seconds=constants.replay_seconds))
    eager = predict(call, model, as_captured(call))
    ways = {
        "eager": eager.seconds,
        "replayed": predict(call, graph, eager.runtime).busy,
        "compiled": predict(call, model, "compiled").seconds,
    }
    return Prediction(ways, eager.by(lambda kernel: kernel.category), eager.by(_attention_of))


def _attention_of(kernel: Kernel) -> str:
    return "" if kernel.attention is None else attention_name(kernel.attention)


def attention_name(shape: Attention) -> str:
    """The group of an attention, as the measuring process names it."""
    return f"{shape.kind}, {shape.axis}, {shape.q} x {shape.kv}"


def pairs(found: Mapping[str, Any], *, latencies: bool = True) -> Iterator[Pair]:
    """Every row and way measured, in the order of ROWS and of the runs; `latencies` as in `prediction`."""
    for row in ROWS:
        measured = [
            (n, item) for n, run in enumerate(found["runs"], 1) for item in run["rows"] if item["row"] == row.name
        ]
        for number, item in measured:
            taken, said = item["seconds"], prediction(row.name, found["hardware"], latencies=latencies).ways
            yield from (Pair(row.name, number, way, tuple(taken[way]), said[way]) for way in WAYS if way in taken)


def markdown(found: Mapping[str, Any]) -> str:
    """The page: errors by way, every row, and what the nodes of a call took by category and attention."""
    known = list(pairs(found))
    lines = [*HEAD, ""]
    for number, run in enumerate(found["runs"], 1):
        lines.append(f"- run {number}: {run['gpu']}, {run['cpu']}, torch {run['torch']}, {len(run['rows'])} rows")
        lines += [f"  - {name}: {reason}" for name, reason in run["failed"].items()]
        lines += [f"  - {item['row']}: {note}" for item in run["rows"] for note in item["notes"]]
    known_rows = {item["row"] for run in found["runs"] for item in run["rows"]}
    lines += [f"- in no run: {row.name}" for row in ROWS if row.name not in known_rows]
    lines += ["", "| way | calls | median absolute error | worst |", "|---|---:|---:|---:|"]
    judges = [pair for pair in known if pair.row not in SETTING]
    without = [pair for pair in pairs(found, latencies=False) if pair.row not in SETTING]
    for label, made in (("", judges), (", without the two latencies", without), (", all calls", known)):
        for way in WAYS:
            errors = [abs(pair.error) for pair in made if pair.way == way]
            if errors:
                lines.append(f"| {way}{label} | {len(errors)} | {statistics.median(errors):.1%} | {max(errors):.1%} |")
    lines += ["", "| call | run | way | rounds | measured, ms | predicted, ms | error |"]
    lines += ["|---|---:|---|---:|---:|---:|---:|"]
    for pair in known:
        low, high = min(pair.seconds), max(pair.seconds)
        lines.append(
            f"| {pair.row} | {pair.run} | {pair.way} | {len(pair.seconds)} | "
            f"{_ms(pair.median)} [{_ms(low)}, {_ms(high)}] | {_ms(pair.predicted)} | {pair.error:+.1%} |"
        )
    lines += _groups(found, "categories", "category", "Nodes by category")
    lines += _groups(found, "attention", "attention", "Attention by kind, axis and tokens")
    return "\n".join(lines) + "\n"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g}"


SLOWED = 1.15
"""Nodes are shown where clocks around them lengthen the call by no more than this: elsewhere they measure the host."""
LEAST = 0.01
"""Smallest share of the call of a group that is shown."""


def is_shown(nodes: Mapping[str, Any] | None) -> bool:
    """Whether the nodes of a call were measured, and not the host."""
    return nodes is not None and nodes["clocked"] <= SLOWED * nodes["plain"]


def _groups(found: Mapping[str, Any], key: str, title: str, head: str) -> list[str]:
    shown = (
        f"Calls that clocks around their nodes lengthen by at most {SLOWED - 1:.0%}, groups of at least {LEAST:.0%}."
    )
    lines = ["", f"## {head}", "", shown, ""]
    lines += [f"| call | {title} | nodes | measured, ms | predicted, ms | error |"]
    lines += ["|---|---|---:|---:|---:|---:|"]
    for row in ROWS:
        for item in (item for run in found["runs"] for item in run["rows"] if item["row"] == row.name):
            nodes = item["nodes"]
            if not is_shown(nodes):
                continue
            whole = sum(group["measured"] for group in nodes["categories"].values())
            groups = sorted(nodes[key].items(), key=lambda pair: -pair[1]["measured"])
            for name, group in groups:
                said = getattr(prediction(row.name, found["hardware"]), key).get(name, 0.0)
                if group["measured"] >= LEAST * whole:
                    lines.append(
                        f"| {row.name} | {name} | {int(group['nodes'])} | {_ms(group['measured'])} | "
                        f"{_ms(said)} | {said / group['measured'] - 1:+.1%} |"
                    )
    return lines


def main() -> None:
    """Prints the page, or writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    page = markdown(json.loads(given.file.read_text()))
    if given.markdown is None:
        print(page)
    else:
        given.markdown.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
