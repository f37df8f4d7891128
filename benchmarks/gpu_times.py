"""Published GPU times against predicted ones: `python benchmarks/gpu_times.py [--role judge] [--json PATH]`.

Rows and their roles stand in published_times.toml, frozen before any constant of the model was set.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import graphlab
from graphlab.generation.runs import StageRun, StageSource, stage_run
from graphlab.generation.times import StageTime, stage_time
from graphlab.hardware import load_device
from graphlab.prediction.constants import GpuConstants, gpu_constants
from graphlab.prediction.gpu import GpuModel
from graphlab.workload import Workload

ROWS = Path(__file__).with_name("published_times.toml")

HIGH_PRECISION = {"sdxl-a100-float32", "pixart-a100-float32-plain"}
"""float32 rows whose script sets torch.set_float32_matmul_precision("high"): products in TF32."""

FIRST_FLASH = "docs/source/en/optimization/torch2.0.md"
"""The page whose rows were measured with a PyTorch 2.0 nightly, before the second generation of fused attention."""


def rows(*roles: str) -> list[dict[str, Any]]:
    """The rows of the table that have one of `roles`."""
    return [row for row in tomllib.loads(ROWS.read_text())["row"] if row["role"] in roles]


@cache
def _source(model: str, stage: str, dtype: str) -> StageSource:
    found = graphlab.load(model).stage(stage)
    return StageSource(found, dynamic=bool(found.step_bindings), dtype=dtype if found.dtype != "float32" else None)


@cache
def _run(model: str, stage: str, bindings: tuple[tuple[str, float], ...], dtype: str) -> StageRun:
    return stage_run(_bound(model, bindings), _source(model, stage, dtype))


@cache
def _bound(model: str, bindings: tuple[tuple[str, float], ...]) -> Workload:
    return graphlab.load(model, **dict(bindings))


def stage_times(row: dict[str, Any], constants: GpuConstants) -> list[StageTime]:
    """Predicted times of the stages a row is about."""
    bindings = tuple(sorted(row["bindings"].items()))
    workload = _bound(row["model"], bindings)
    names = [row["stage"]] if row["stage"] else [stage.name for stage in workload.active]
    flash = 1 if row["source"].endswith(FIRST_FLASH) else 2
    model = GpuModel(load_device(row["device"]), constants, tf32=row["id"] in HIGH_PRECISION, flash=flash)
    runs = [_run(row["model"], name, bindings, row["dtype"]) for name in names]
    return [stage_time(run, model, row["runtime"]) for run in runs]


def predicted_seconds(row: dict[str, Any], constants: GpuConstants) -> float:
    """Seconds predicted for what `row` publishes."""
    times = stage_times(row, constants)
    total = sum(time.seconds for time in times)
    if row["per"] in ("generation",):
        return total
    steps = sum(len(time.run.steps) for time in times)
    return total / steps


def main() -> None:
    """Prints a line a row, the parts of each prediction, and the errors by role."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--role", nargs="*", default=["fit", "judge"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = []
    for row in rows(*options.role):
        times = stage_times(row, gpu_constants())
        predicted = predicted_seconds(row, gpu_constants())
        error = predicted / row["seconds"] - 1
        idle = sum(t.idle for t in times) / sum(t.seconds for t in times)
        found.append({"id": row["id"], "role": row["role"], "device": row["device"], "runtime": row["runtime"]})
        found[-1] |= {"published": row["seconds"], "predicted": predicted, "error": error, "per": row["per"]}
        print(f"{row['role']:5} {row['id']:40} {row['device']:10} {row['dtype']:8} {row['runtime']:18} published "
              f"{row['seconds']:10.4f} s  predicted {predicted:10.4f} s  {error:+7.1%}  idle {idle:4.0%}")  # fmt: skip
    for role in options.role:
        errors = [abs(item["error"]) for item in found if item["role"] == role]
        if errors:
            print(f"{role}: {len(errors)} rows, median absolute error {statistics.median(errors):.1%}, "
                  f"worst {max(errors):.1%}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
