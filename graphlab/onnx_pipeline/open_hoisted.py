"""The models of a hoisted stage as one callable: the prologue once a prompt, a row of the table once a timestep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from graphlab.lowering.ort_call import SessionSettings
from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.hoisted import HOISTED, SCHEMA
from graphlab.onnx_pipeline.open_model import OpenModel, open_model
from graphlab.sources.json_file import read_json

_MOST_PROMPTS = 4
"""Prompts whose values are kept: pipelines take turns with at most so many at a step."""

Tensors = Mapping[str, torch.Tensor]


class HoistedCall:
    """Calls the parts as the whole stage would be called.

    What the prologue makes is kept for the inputs it was made of, and a row of the table for a timestep, so that the
    loop of a pipeline, which calls the stage with all its inputs, runs the step alone.
    """

    def __init__(self, models: Mapping[str, OpenModel], invariant: Sequence[str], schedule: Sequence[str]) -> None:
        self.models, self.invariant, self.schedule = models, list(invariant), list(schedule)
        made = {name for part in ("prologue", "table") if part in models for name in models[part].outputs}
        self.inputs = {
            name: shape for model in models.values() for name, shape in model.inputs.items() if name not in made
        }
        self.outputs = models["step"].outputs
        self.calls = dict.fromkeys(models, 0)
        self._prompts: list[_Prompt] = []

    def __call__(self, given: Tensors) -> Sequence[torch.Tensor]:
        """The results of the stage for its inputs by name."""
        prompt = self._prompt(given)
        key = tuple(_content(given[name]) for name in self.schedule)
        if key not in prompt.rows:
            prompt.rows[key] = self._run("table", {**given, **prompt.values})
        return self._call("step", {**given, **prompt.values, **prompt.rows[key]})

    def _prompt(self, given: Tensors) -> _Prompt:
        """What was made of these inputs that stay, at these sizes; the prologue runs where nothing was."""
        inputs = {name: given[name] for name in self.invariant}
        shapes = {name: tuple(value.shape) for name, value in given.items()}
        for item in self._prompts:
            if item.is_of(inputs, shapes):
                return item
        made = _Prompt(inputs, shapes, self._run("prologue", given))
        self._prompts = [made, *self._prompts[: _MOST_PROMPTS - 1]]
        return made

    def _run(self, part: str, given: Tensors) -> dict[str, torch.Tensor]:
        if part not in self.models:
            return {}
        return dict(zip(self.models[part].outputs, self._call(part, given), strict=True))

    def _call(self, part: str, given: Tensors) -> Sequence[torch.Tensor]:
        self.calls[part] += 1
        model = self.models[part]
        return model({name: given[name] for name in model.inputs})


class _Prompt:
    """Inputs that stay, the sizes of all, and what was made of them; `rows` are those of the table so far."""

    def __init__(self, inputs: Tensors, shapes: Mapping[str, tuple[int, ...]], values: Tensors) -> None:
        self.inputs = {name: value.clone() for name, value in inputs.items()}
        self.shapes, self.values = dict(shapes), dict(values)
        self.rows: dict[Any, dict[str, torch.Tensor]] = {}

    def is_of(self, inputs: Tensors, shapes: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether the values are those for `inputs`."""
        return self.shapes == shapes and all(torch.equal(self.inputs[name], value) for name, value in inputs.items())


def open_hoisted(folder: Path, settings: SessionSettings) -> HoistedCall:
    """The hoisted stage in `folder`; PipelineError for a manifest that is none, and what `open_model` raises."""
    document = read_json(folder / HOISTED)
    if document.get("schema") != SCHEMA:
        raise PipelineError(f"{folder / HOISTED} is no manifest of {SCHEMA}", hint="export the folder again")
    try:
        files = {str(item["part"]): str(item["file"]) for item in document["parts"]}
        invariant, schedule = [str(i) for i in document["invariant"]], [str(i) for i in document["schedule"]]
    except (KeyError, TypeError) as error:
        raise PipelineError(f"{folder / HOISTED} is damaged ({error!r})", hint="export the folder again") from error
    if "step" not in files or any(Path(name).name != name for name in files.values()):
        raise PipelineError(f"{folder / HOISTED} lists the parts {', '.join(files)}", hint="export the folder again")
    return HoistedCall({part: open_model(folder / name, settings) for part, name in files.items()}, invariant, schedule)


def _content(value: torch.Tensor) -> tuple[Any, ...]:
    return (value.dtype, tuple(value.shape), *value.flatten().tolist())
