"""`write_pipeline`: everything of an exported folder that is no model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.layout import COPIED, PipelineLayout, StageLayout, is_model
from graphlab.onnx_pipeline.read_weights import SourceOf, with_read_weights

INDEX, MANIFEST = "model_index.json", "graphlab.json"
SCHEMA = "graphlab.pipeline/1"
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".onnx_data", ".msgpack", ".h5", ".gguf")
_MOST_COPIED_BYTES = 1 << 28
"""Bytes of a file that is still a vocabulary."""


def write_pipeline(layout: PipelineLayout, folder: Path, source_of: SourceOf | None = None) -> tuple[str, ...]:
    """Writes what stands beside the models: configurations, scheduler, tokenizers, the index; their paths in `folder`.

    graphlab.json says what the stages are called and which sizes the models were made at. `source_of` gives the weights
    that a pipeline reads beside its models. PipelineError where files
    cannot be written or copied.
    """
    placed = [item for item in layout.stages if item.config is not None]
    configs = {f"{item.subfolder}/config.json": with_read_weights(item, source_of) for item in placed}
    try:
        written = [_json(folder, name, content) for name, content in configs.items()]
        if layout.origin is not None:
            written += _copied(layout, layout.origin, folder)
        elif layout.scheduler:
            written.append(_json(folder, "scheduler/scheduler_config.json", _scheduler(layout.scheduler)))
        if layout.pipeline:
            written.append(_json(folder, INDEX, _index(layout)))
        written.append(_json(folder, MANIFEST, manifest(layout)))
    except OSError as error:
        raise PipelineError(f"cannot write into {folder}: {error.strerror or error}") from error
    return tuple(written)


def manifest(layout: PipelineLayout) -> dict[str, Any]:
    """What graphlab.json holds: the workload, its variables and their values, and the stages in the order they run."""
    workload = layout.workload
    values = workload.values()
    return {
        "schema": SCHEMA,
        "workload": workload.name,
        "source": workload.source,
        "pipeline": layout.pipeline,
        "variables": [
            {
                "name": item.name, "value": values[item.name], "minimum": item.minimum, "maximum": item.maximum,
                "multiple_of": item.multiple_of,
            }
            for item in workload.variables
        ],
        "stages": [_described(layout, item) for item in layout.stages],
        "notes": list(layout.notes),
    }  # fmt: skip


def _described(layout: PipelineLayout, item: StageLayout) -> dict[str, Any]:
    stage = layout.workload.stage(item.stage)
    return {
        "stage": item.stage,
        "file": item.file,
        "class": item.made.name if item.made is not None else None,
        "steps": stage.steps,
        "calls_per_step": stage.calls_per_step,
    }


def _scheduler(config: Mapping[str, Any]) -> dict[str, Any]:
    import diffusers

    return {"_diffusers_version": diffusers.__version__, **config}


def _index(layout: PipelineLayout) -> dict[str, Any]:
    """model_index.json: the source's own, or one made of the stages, with null for what is not in the folder."""
    import diffusers

    found: dict[str, Any] = {"_class_name": layout.pipeline, "_diffusers_version": diffusers.__version__}
    found |= layout.index
    found |= {name: [None, None] for name, entry in layout.index.items() if is_model(name, entry)}
    if "requires_safety_checker" in found:
        found["requires_safety_checker"] = False
    for item in layout.stages:
        if item.made is not None and item.made.library is not None:
            found[item.entry] = [item.made.library, item.made.name]
    if layout.origin is None and layout.scheduler:
        found["scheduler"] = ["diffusers", layout.scheduler["_class_name"]]
    return found


def _copied(layout: PipelineLayout, origin: Path, folder: Path) -> list[str]:
    names = [
        name
        for name, entry in layout.index.items()
        if name.startswith(COPIED) and isinstance(entry, list) and entry and entry[0] is not None
    ]
    written = []
    for name in names:
        if not (origin / name).is_dir():
            raise PipelineError(f"{origin} lists {name}, whose folder is missing")
        for file in sorted((origin / name).iterdir()):
            if file.is_file() and not file.name.endswith(_WEIGHTS) and file.stat().st_size <= _MOST_COPIED_BYTES:
                (folder / name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / name / file.name)
                written.append(f"{name}/{file.name}")
    return written


def _json(folder: Path, name: str, content: Mapping[str, Any]) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, default=str) + "\n")
    return name
