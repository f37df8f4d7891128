"""`ExportedFolder`: what lies in a folder that `graphlab export` or Optimum wrote, read without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.hoisted import HOISTED
from graphlab.onnx_pipeline.layout import MODEL, is_model
from graphlab.onnx_pipeline.model_class import ModelClass
from graphlab.onnx_pipeline.writing import INDEX, MANIFEST, SCHEMA
from graphlab.sources.folder import class_of
from graphlab.sources.json_file import read_json

_NEEDS = "run needs the folder that `graphlab export SOURCE -o DIR/` writes for a pipeline of diffusers"


@dataclass(frozen=True, slots=True)
class Component:
    """One model of the folder: its entry in model_index.json, its own folder, its class."""

    name: str
    folder: Path
    made: ModelClass

    @property
    def is_hoisted(self) -> bool:
        """Whether the model is split into parts."""
        return (self.folder / HOISTED).is_file()


@dataclass(frozen=True, slots=True)
class ExportedFolder:
    """`index` is model_index.json, `manifest` graphlab.json ({} in folders of another exporter)."""

    path: Path
    pipeline: str
    index: Mapping[str, Any]
    components: tuple[Component, ...]
    manifest: Mapping[str, Any]

    @property
    def variables(self) -> Mapping[str, Mapping[str, Any]]:
        """{name: {"value", "minimum", "maximum", "multiple_of"}} of the workload that was exported."""
        return {str(item["name"]): item for item in self.manifest.get("variables", ())}


def read_folder(path: Path) -> ExportedFolder:
    """The exported folder at `path`; PipelineError, saying what run needs, for anything else."""
    if path.suffix == ".onnx" or path.is_file():
        raise PipelineError(f"{path} is one model, and a generation takes several and a scheduler", hint=_NEEDS)
    if not path.is_dir():
        raise PipelineError(f"there is no folder {path}", hint=_NEEDS)
    manifest = _manifest(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    if not (path / INDEX).is_file():
        _refuse(path, manifest)
    index = read_json(path / INDEX)
    components = tuple(_component(path, name) for name, entry in index.items() if is_model(name, entry))
    if not components:
        raise PipelineError(f"{path / INDEX} lists no model", hint=_NEEDS)
    return ExportedFolder(path, str(index.get("_class_name", "")), index, components, manifest)


def _manifest(path: Path) -> dict[str, Any]:
    """What the graphlab.json at `path` says; PipelineError for one that is none, or lacks what `run` reads of it."""
    found = read_json(path)
    if found.get("schema") != SCHEMA:
        raise PipelineError(f"{path} is no manifest of {SCHEMA}", hint="export the folder again")
    try:
        whole = all(_is_size(item) for item in found["variables"]) and isinstance(found["workload"], str)
        whole = whole and all(isinstance(item["stage"], str) for item in found["stages"])
    except (KeyError, TypeError) as error:
        raise PipelineError(f"{path} is damaged ({error!r})", hint="export the folder again") from error
    if not whole or not isinstance(found.get("notes", []), list):
        raise PipelineError(f"{path} is damaged", hint="export the folder again")
    return found


def _is_size(item: Mapping[str, Any]) -> bool:
    """Whether `item` describes a variable with numbers."""
    numbers = [item[key] for key in ("value", "minimum", "multiple_of")]
    highest = item["maximum"]
    return isinstance(item["name"], str) and all(
        isinstance(number, (int, float)) for number in (*numbers, 0 if highest is None else highest)
    )


def _refuse(path: Path, manifest: Mapping[str, Any]) -> None:
    if manifest:
        stages = ", ".join(item["stage"] for item in manifest["stages"])
        raise PipelineError(
            f"no pipeline of diffusers runs {manifest['workload']} ({stages})",
            hint="open its models with onnxruntime; graphlab.json says how often each of them runs",
        )
    raise PipelineError(f"{path} is no exported folder: it has no {INDEX}", hint=_NEEDS)


def _component(path: Path, name: str) -> Component:
    folder = path / ("vae_decoder" if name == "vae" else name)
    config = folder / "config.json"
    if not (folder / MODEL).is_file() and not (folder / HOISTED).is_file():
        raise PipelineError(f"{path} has no {folder.name}/{MODEL}", hint="export the folder again")
    if not config.is_file():
        raise PipelineError(f"{path} has no {folder.name}/config.json", hint="export the folder again")
    content = read_json(config)
    return Component(name, folder, ModelClass(class_of(content, config), content))
