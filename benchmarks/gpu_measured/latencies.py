"""Two latencies of the time model, out of what a GPU took: `python -m benchmarks.gpu_measured.latencies FILE.json`.

- `moment_seconds`: of every call whose normalizations are group norms alone, their seconds, less what scaling takes by
  its bytes, over the steps of `moments_steps`. The row sd-vae sets it.
- `attention_block_seconds`: of every attention of at most 64 keys, its seconds over the blocks of a multiprocessor.
  Temporal self-attention of animatediff-b2 sets it.

The other rows judge them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu_measured.rows import ROWS, Row
from benchmarks.gpu_measured.table import attention_name, is_shown
from graphlab.generation.runs import StageSource
from graphlab.hardware import Hardware, load_device
from graphlab.kernels.data import Attention, Kernel
from graphlab.prediction.constants import gpu_constants
from graphlab.prediction.flash import KEYS, block_rows
from graphlab.prediction.group_norm import moments_steps


def kernels_of(row: Row) -> list[Kernel]:
    """The kernels of one call of `row` with fused attention, in order."""
    workload, stage = row.found()
    call = StageSource(stage, dynamic=False).at(workload.step_values(stage, 0))
    return [call.kernels[index] for index in call.order["fused"]]


def seconds_a_step(norms: list[Kernel], measured: float, hardware: Hardware) -> float:
    """`measured` seconds of `norms`, less reading and writing once, over the steps of their moments."""
    assert hardware.execution is not None
    scaling = sum(kernel.bytes for kernel in norms) / (hardware.bandwidth * gpu_constants().bandwidth_share)
    shapes = [kernel.group_norm for kernel in norms if kernel.group_norm is not None]
    return (measured - scaling) / sum(moments_steps(shape, hardware.execution) for shape in shapes)


def blocks(shape: Attention, multiprocessors: int) -> int:
    """Blocks of query rows that the busiest multiprocessor works through."""
    return math.ceil(shape.batch * shape.heads * math.ceil(shape.q / block_rows(shape)) / multiprocessors)


def measured_rows(found: Mapping[str, Any]) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    """(row, its nodes) of the calls whose nodes could be measured."""
    for row in ROWS:
        items = [item for run in found["runs"] for item in run["rows"] if item["row"] == row.name]
        yield from ((row, item["nodes"]) for item in items if is_shown(item["nodes"]))


def main(path: str) -> None:
    """Prints a table for each constant."""
    found = json.loads(Path(path).read_text())
    hardware = load_device(found["hardware"])
    assert hardware.execution is not None
    print("| call | group norms | measured, ms | ns a value of a thread |\n|---|---:|---:|---:|")
    for row, nodes in measured_rows(found):
        norms = [kernel for kernel in kernels_of(row) if kernel.category == "normalization"]
        if norms and all(kernel.group_norm is not None for kernel in norms):
            taken = nodes["categories"]["normalization"]["measured"]
            step = seconds_a_step(norms, taken, hardware)
            print(f"| {row.name} | {len(norms)} | {taken * 1e3:.4g} | {step * 1e9:.1f} |")
    print("\n| call | attention | sites | measured, ms | us a block |\n|---|---|---:|---:|---:|")
    for row, nodes in measured_rows(found):
        shapes = [kernel.attention for kernel in kernels_of(row) if kernel.attention is not None]
        for name, group in nodes["attention"].items():
            few = [shape for shape in shapes if attention_name(shape) == name and shape.kv <= KEYS]
            if few:
                count = sum(blocks(shape, hardware.execution.multiprocessors) for shape in few)
                taken = group["measured"]
                print(f"| {row.name} | {name} | {len(few)} | {taken * 1e3:.4g} | {taken / count * 1e6:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1])
