"""`pipeline_layout`: where the models of a workload go in a folder, and what they are called there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from graphlab.exporting.options import Naming
from graphlab.onnx_pipeline.known import KnownPipeline, known_pipeline
from graphlab.onnx_pipeline.model_class import ModelClass, class_of_stage
from graphlab.onnx_pipeline.names import is_autoencoder, names_of
from graphlab.onnx_pipeline.prepare import prepared, reads_hidden_states
from graphlab.sources.json_file import read_json
from graphlab.workload import Stage, Workload

MODEL = "model.onnx"
"""What every model is called in the folder of its stage."""


@dataclass(frozen=True, slots=True)
class StageLayout:
    """One stage in the folder: its subfolder, the names of its model, and what its config.json says (None: no file).

    `made` is the class it was made of. `entry` is the component of model_index.json it stands for ("vae" for
    "vae_decoder").
    """

    stage: str
    subfolder: str
    naming: Naming
    config: Mapping[str, Any] | None
    made: ModelClass | None = None
    entry: str = ""

    @property
    def file(self) -> str:
        """The model, below the folder."""
        return f"{self.subfolder}/{MODEL}"


@dataclass(frozen=True, slots=True)
class PipelineLayout:
    """The folder of a workload. Export the stages of `workload`, which is the one given with its stages prepared.

    `pipeline` is the class of diffusers that runs it, "" where there is none. `index` are further keys of
    model_index.json, `scheduler` the scheduler's configuration where the source is no folder, `origin` the folder
    scheduler and tokenizers are copied from. `notes` say what the folder leaves out.
    """

    workload: Workload
    stages: tuple[StageLayout, ...]
    pipeline: str = ""
    index: Mapping[str, Any] = field(default_factory=dict)
    scheduler: Mapping[str, Any] = field(default_factory=dict)
    origin: Path | None = None
    notes: tuple[str, ...] = ()

    def stage(self, name: str) -> StageLayout:
        """The layout of the stage `name`."""
        return next(item for item in self.stages if item.stage == name)


def pipeline_layout(workload: Workload) -> PipelineLayout:
    """The folder that the stages of `workload` which run make: the one Optimum's ONNX Runtime pipelines load.

    Stages Optimum has no name for go by graphlab's: a subfolder called like the stage, inputs like the parameters of
    the class. Nothing is built or captured. SourceError for a model_index.json that cannot be read.
    """
    origin = _origin(workload)
    index = read_json(origin / "model_index.json") if origin is not None else {}
    known = None if origin is not None else known_pipeline(workload.name)
    pipeline = str(index.get("_class_name", "")) if origin is not None else (known.pipeline if known else "")
    stages, layouts = [], []
    for stage in workload.active:
        ready, layout = _stage(stage, pipeline, known)
        stages.append(ready)
        layouts.append(layout)
    rest = [stage for stage in workload.stages if stage not in workload.active]
    return PipelineLayout(
        workload=replace(workload, stages=(*stages, *rest)),
        stages=tuple(layouts),
        pipeline=pipeline,
        index=index if origin is not None else dict(known.options if known else {}),
        scheduler=dict(known.scheduler) if known else {},
        origin=origin,
        notes=_notes(pipeline, index, known, layouts),
    )


def _origin(workload: Workload) -> Path | None:
    """The pipeline's folder where the source is one."""
    path = Path(workload.source) if workload.source else None
    return path if path is not None and (path / "model_index.json").is_file() else None


def _stage(stage: Stage, pipeline: str, known: KnownPipeline | None) -> tuple[Stage, StageLayout]:
    made = class_of_stage(stage)
    hidden = reads_hidden_states(pipeline, made)
    ready = prepared(stage, made, hidden_states=hidden)
    names = names_of(ready, made, hidden_states=hidden)
    config = made.complete() if made is not None else None
    decoder = is_autoencoder(made)
    if config is not None and decoder and known is not None:
        config |= known.decoder
    naming = Naming(names.inputs, names.outputs, names.axes)
    entry = "vae" if decoder and stage.name == "vae_decoder" else stage.name
    return ready, StageLayout(stage.name, stage.name.replace(" ", "_"), naming, config, made, entry)


def _notes(
    pipeline: str, index: Mapping[str, Any], known: KnownPipeline | None, stages: list[StageLayout]
) -> tuple[str, ...]:
    notes = []
    if not pipeline:
        notes.append("no pipeline of diffusers runs these stages: the folder holds models without a model_index.json")
    if known is not None:
        notes.append("a built-in model has no tokenizer: the folder is written without, and takes token ids")
    there = {item.entry for item in stages}
    left = [name for name, entry in index.items() if is_model(name, entry) and name not in there]
    notes += [f"{name} is not part of a generation and is left out" for name in left]
    return tuple(notes)


COPIED = ("scheduler", "tokenizer", "feature_extractor", "image_processor")
"""What the names of components start with that are files of a source, not models."""


def is_model(name: str, entry: Any) -> bool:
    """Whether an entry of a model_index.json names a component that is a model and is there."""
    named = isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str)
    return named and not name.startswith(("_", *COPIED))
