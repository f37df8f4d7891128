"""A stage split over its loop, as models: a prologue for once, a table for every timestep, a step for the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphlab.exporting.options import ExportOptions, Naming
from graphlab.exporting.stage import export_program
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.saving import manifest
from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.program import Program
from graphlab.report.export_data import ModelReport
from graphlab.rewriting.result import RewriteResult
from graphlab.weights.overlaid import OverlaidWeights
from graphlab.weights.source import WeightSource
from graphlab.weights.values import Values

SCHEMA = "graphlab.hoisted-onnx/1"
HOISTED = "hoisted.json"
"""The manifest of a stage that was split over its loop, in the stage's folder."""


def export_hoisted(
    program: Program,
    result: RewriteResult,
    source: WeightSource,
    folder: Path,
    options: ExportOptions,
    *,
    naming: Naming | None = None,
    origin: str = "",
) -> tuple[ModelReport, ...]:
    """Writes prologue.onnx, table.onnx and step.onnx (those there are) and hoisted.json into `folder`.

    `result` is a rewrite of the captured `program` with -O3: its `hoisted` is what is written, with weights by
    `source`. Inputs of the stage and the results of the step go by `naming`, values between the parts by their own
    names. Each part is compared with PyTorch as a whole stage is. PipelineError where nothing was hoisted; ExportError
    as `export_program` raises it.
    """
    hoisted = result.hoisted
    if hoisted is None or not hoisted.modified:
        reason = hoisted.reason if hoisted is not None else "the rewrite has no pass that splits it"
        raise PipelineError(f"nothing of {program.name} was hoisted: {reason}", hint="export the stage whole")
    names = naming or Naming()
    # A recipe of a part may start from any weight of the stage before it was split.
    whole = OverlaidWeights(source, Values(result.program, source, result.new_tensors, program))
    reports = []
    for part, item in hoisted.programs:
        outputs = {"prologue": hoisted.prologue_outputs, "table": hoisted.table_outputs, "step": names.outputs}[part]
        inputs = {node.name: names.inputs.get(node.name, node.name) for node in item.graph.inputs}
        made = RewriteResult(replace(item, history=(*program.history, *result.program.history, *item.history)))
        ports = Naming(inputs, outputs, names.axes)
        path = folder / f"{part}.onnx"
        report = export_program(
            item, made, whole, path, options, naming=ports, origin=origin or f"{program.name} {part}"
        )
        reports.append(report)
    text = json.dumps(_manifest(hoisted, names, reports), indent=2) + "\n"
    try:
        (folder / HOISTED).write_text(text)
    except OSError as error:
        raise PipelineError(f"cannot write into {folder}: {error.strerror or error}") from error
    return tuple(reports)


def _manifest(result: HoistResult, names: Naming, reports: Sequence[ModelReport]) -> dict[str, Any]:
    """That of `graphlab.hoisting.saving`, with names and files of the models."""
    found = manifest(result)
    for part, report in zip(found["parts"], reports, strict=True):
        part["file"] = Path(report.path).name
        part["outputs"] = [item.name for item in report.outputs]
        for item in part["inputs"]:
            item["name"] = names.inputs.get(item["name"], item["name"])
    roles: Mapping[str, Sequence[str]] = {"invariant": result.invariant, "schedule": result.schedule}
    renamed = {role: [names.inputs.get(name, name) for name in given] for role, given in roles.items()}
    return {**found, **renamed, "schema": SCHEMA}
