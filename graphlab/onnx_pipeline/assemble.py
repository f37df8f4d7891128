"""A pipeline of diffusers whose models are those of an exported folder."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.errors import GraphlabError
from graphlab.lowering.ort_call import SessionSettings
from graphlab.names import nearest
from graphlab.onnx_pipeline.errors import PipelineError, reason_of
from graphlab.onnx_pipeline.folder import Component, ExportedFolder
from graphlab.onnx_pipeline.layout import MODEL
from graphlab.onnx_pipeline.names import is_text_encoder
from graphlab.onnx_pipeline.open_hoisted import open_hoisted
from graphlab.onnx_pipeline.open_model import check_runtime, open_model
from graphlab.onnx_pipeline.stand_in import StandIn
from graphlab.onnx_pipeline.token_ids import TokenIds
from graphlab.sources.json_file import read_json

_LONGEST = 512
"""Tokens a text encoder with relative positions is called with at most."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """`pipe` is the pipeline; `ids` {tokenizer's name: TokenIds} of encoders whose tokenizer is not in the folder."""

    pipe: Any
    ids: Mapping[str, TokenIds]


def assemble(folder: ExportedFolder, settings: SessionSettings) -> Assembled:
    """The pipeline of `folder` over ONNX Runtime sessions.

    PipelineError for a class diffusers does not have, a missing scheduler, a tokenizer that cannot be read, and what
    `open_model` raises.
    """
    kind = _class(folder.pipeline)
    check_runtime(settings.provider)
    parts: dict[str, Any] = {item.name: _stand_in(item, settings) for item in folder.components}
    parts["scheduler"] = _scheduler(folder)
    ids = {}
    for item in folder.components:
        if is_text_encoder(item.made):
            name = item.name.replace("text_encoder", "tokenizer")
            parts[name] = _tokenizer(folder, name)
            if parts[name] is None:
                parts[name] = ids[name] = _token_ids(item, parts[item.name])
    read = [name for name in parts if name.startswith("tokenizer") and name not in ids]
    if ids and read:
        raise PipelineError(
            f"{folder.path} has {', '.join(read)} and no {', '.join(ids)}", hint="put the tokenizer of the model there"
        )
    accepted = inspect.signature(kind.__init__).parameters
    options = {name: value for name, value in folder.index.items() if name in accepted and not isinstance(value, list)}
    required = {name: None for name, item in accepted.items() if item.default is item.empty and name != "self"}
    given = {name: value for name, value in parts.items() if name in accepted}
    return Assembled(_made(kind, {**required, **options, **given}), ids)


def _made(kind: Any, arguments: Mapping[str, Any]) -> Any:
    """The pipeline; what its constructor cannot work with is said in one line."""
    arguments = {name: value for name, value in arguments.items() if name not in ("args", "kwargs")}
    try:
        pipe = kind(**arguments)
    except GraphlabError:
        raise
    except Exception as error:  # a class may raise anything about parts it does not expect
        raise PipelineError(f"{kind.__name__} cannot be made of this folder: {reason_of(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _class(name: str) -> Any:
    import diffusers

    kind = getattr(diffusers, name, None)
    if inspect.isclass(kind) and issubclass(kind, diffusers.DiffusionPipeline):
        return kind
    pipelines = [item for item in dir(diffusers) if item.endswith("Pipeline")]
    raise PipelineError(f"diffusers has no pipeline {name!r}", hint=nearest(name, pipelines) or None)


def _stand_in(item: Component, settings: SessionSettings) -> StandIn:
    if item.is_hoisted:
        parts = open_hoisted(item.folder, settings)
        return StandIn(item.name, item.made, parts, parts.inputs, parts.outputs)
    model = open_model(item.folder / MODEL, settings)
    return StandIn(item.name, item.made, model, model.inputs, model.outputs, torch.float32)


def _scheduler(folder: ExportedFolder) -> Any:
    import diffusers

    path = folder.path / "scheduler" / "scheduler_config.json"
    if not path.is_file():
        raise PipelineError(f"{folder.path} has no scheduler", hint=f"put the scheduler of the model at {path}")
    config = read_json(path)
    name = str(config.get("_class_name", ""))
    kind: Any = getattr(diffusers, name, None)
    if not inspect.isclass(kind) or not issubclass(kind, diffusers.SchedulerMixin):
        raise PipelineError(f"diffusers has no scheduler {name!r}, which {path} names")
    made: Any = kind
    try:
        return made.from_config(config)
    except Exception as error:  # a class may raise anything about a configuration it does not expect
        raise PipelineError(f"{name} cannot be made of {path}: {reason_of(error)}") from error


def _tokenizer(folder: ExportedFolder, name: str) -> Any:
    """The tokenizer `name` of the folder; None where it has none."""
    import transformers

    entry = folder.index.get(name)
    named = entry[1] if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str) else None
    if named is None or not (folder.path / name).is_dir():
        return None
    kind: Any = getattr(transformers, named, None)
    if not inspect.isclass(kind) or not issubclass(kind, transformers.PreTrainedTokenizerBase):
        raise PipelineError(f"transformers has no tokenizer {named!r}, which {folder.path} names")
    try:
        made: Any = kind
        return made.from_pretrained(folder.path / name, local_files_only=True)
    except Exception as error:  # tokenizers raise their own kinds for damaged files
        raise PipelineError(f"{folder.path / name} cannot be read: {reason_of(error)}") from error


def _token_ids(item: Component, encoder: StandIn) -> TokenIds:
    config = item.made.config
    vocabulary, padding = config.get("vocab_size"), config.get("pad_token_id")
    if not isinstance(vocabulary, int):
        raise PipelineError(f"{item.folder / 'config.json'} names no vocab_size", hint="export the folder again")
    fixed = encoder.inputs["input_ids"][1] if "input_ids" in encoder.inputs else None
    length = fixed if isinstance(fixed, int) else int(config.get("max_position_embeddings") or _LONGEST)
    padding = padding if isinstance(padding, int) and padding < vocabulary else 0
    return TokenIds(min(length, _LONGEST), vocabulary, padding)
