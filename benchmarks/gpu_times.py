"""Published GPU times against predicted ones: `python -m benchmarks.gpu_times [--markdown PATH] [--json PATH]`.

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


HEAD = """\
# Published GPU times against predicted ones

Written by `python -m benchmarks.gpu_times --markdown docs/gpu_times.md`. Predictions are estimates of the time model
(cost_model.md). Rows and roles were frozen before any constant of the model was set: of these rows constants were set
on `fit` rows alone, `judge` rows only judge. (Two latencies were set on calls measured on an H100: gpu_measured.md.) An
error is predicted / published - 1. Rows without a stated device or dtype, and rows about quantised or other models,
are in `benchmarks/published_times.toml` with the reason and are not judged.
""".splitlines()


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
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    for row in rows(*options.role):
        times = stage_times(row, gpu_constants())
        predicted = predicted_seconds(row, gpu_constants())
        error = predicted / row["seconds"] - 1
        idle = sum(t.idle for t in times) / sum(t.seconds for t in times)
        found.append({**row, "published": row["seconds"], "predicted": predicted, "error": error, "idle": idle})
        print(f"{row['role']:5} {row['id']:40} {row['device']:10} {row['dtype']:8} {row['runtime']:18} published "
              f"{row['seconds']:10.4f} s  predicted {predicted:10.4f} s  {error:+7.1%}  idle {idle:4.0%}")  # fmt: skip
    for role in options.role:
        errors = [abs(item["error"]) for item in found if item["role"] == role]
        if errors:
            print(f"{role}: {len(errors)} rows, median absolute error {statistics.median(errors):.1%}, "
                  f"worst {max(errors):.1%}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    if options.markdown:
        options.markdown.write_text(markdown(found), encoding="utf-8")


def markdown(found: list[dict[str, Any]]) -> str:
    """docs/gpu_times.md: the errors by role and group, every row, every source."""
    lines = [
        *HEAD,
        "",
        "| rows | number | median absolute error | worst |",
        "|---|---|---|---|",
    ]
    for label, group in _groups(found):
        errors = [abs(item["error"]) for item in group]
        lines.append(f"| {label} | {len(group)} | {statistics.median(errors):.1%} | {max(errors):.1%} |")
    lines += ["", "| row | role | device | dtype | runtime | published | predicted | error | source |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for item in found:
        address = item["source"].split()[0]
        lines.append(
            f"| {item['id']} | {item['role']} | {item['device']} | {item['dtype']} | {item['runtime']} | "
            f"{item['published']:.4g} s a {item['per']} ({item['as_published']}) | {item['predicted']:.4g} s | "
            f"{item['error']:+.1%} | [source]({address}) |"
        )
    return "\n".join(lines) + "\n"


def _groups(found: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    judged = [item for item in found if item["role"] == "judge"]
    groups = [("fit", [item for item in found if item["role"] == "fit"]), ("judge", judged)]
    for key in ("device", "model"):
        for value in sorted({item[key] for item in judged}):
            groups.append((f"judge, {value}", [item for item in judged if item[key] == value]))  # noqa: PERF401
    return [(label, group) for label, group in groups if group]


if __name__ == "__main__":
    main()
