"""What a pipeline is called with: the options of `run` under the names of its class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphlab.onnx_pipeline.assemble import Assembled
from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.folder import ExportedFolder

_PARAMETERS = {
    "negative_prompt": "negative_prompt", "steps": "num_inference_steps", "guidance": "guidance_scale",
    "height": "height", "width": "width", "frames": "num_frames",
}  # fmt: skip
"""{option: parameter of diffusers}."""
_SIZES = ("height", "width", "frames")
_PROMPTS = ("prompt", "prompt_2", "prompt_3")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked of a generation; None is the pipeline's own default.

    `prompt_ids` are token ids, a text an encoder or one for all; of a class-conditional model they are the classes.
    """

    prompt: str | None = None
    prompt_ids: Sequence[str] = ()
    negative_prompt: str | None = None
    steps: int | None = None
    guidance: float | None = None
    height: int | None = None
    width: int | None = None
    frames: int | None = None
    seed: int = 0


def arguments_of(made: Assembled, folder: ExportedFolder, options: RunOptions) -> tuple[dict[str, Any], list[str]]:
    """(arguments of the pipeline, notes on what was chosen); PipelineError for an option it cannot take."""
    accepted = inspect.signature(type(made.pipe).__call__).parameters
    notes: list[str] = []
    found = _prompt(made, options, accepted, notes)
    for name, parameter in _PARAMETERS.items():
        value = getattr(options, name)
        if value is None:
            value = _exported(folder, name) if name in _SIZES and parameter in accepted else None
        elif parameter not in accepted:
            raise PipelineError(f"{folder.pipeline} takes no {name.replace('_', ' ')}")
        if value is not None:
            _check(folder, name, value)
            found[parameter] = value
    if options.negative_prompt is not None and made.ids:
        for item in made.ids.values():
            item.ids(options.negative_prompt)
    return found, notes


def _exported(folder: ExportedFolder, name: str) -> int | None:
    """The size the models were exported at."""
    known = folder.variables.get(name)
    return None if known is None else int(known["value"])


def _check(folder: ExportedFolder, name: str, value: float) -> None:
    """PipelineError for a size outside of what the models were exported for."""
    known = folder.variables.get(name)
    if known is None:
        return
    low, high, step = known["minimum"], known["maximum"], known["multiple_of"]
    if value < low or (high is not None and value > high) or (step != 1 and value % step):
        wanted = f"at least {low}" + (f", at most {high}" if high is not None else "")
        wanted += f", a multiple of {step}" if step != 1 else ""
        raise PipelineError(f"{name} {value} is impossible for this model", hint=f"expected {wanted}")


def _prompt(made: Assembled, options: RunOptions, accepted: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    if "class_labels" in accepted:
        return {"class_labels": _classes(made, options, notes)}
    if "prompt" not in accepted:
        raise PipelineError(f"{type(made.pipe).__name__} starts from no prompt: it needs an image or a video")
    if options.prompt is not None and options.prompt_ids:
        raise PipelineError("a prompt and token ids are given", hint="give one of them")
    names = [name for name in _PROMPTS if name in accepted]
    if not made.ids:
        if options.prompt_ids:
            raise PipelineError("the folder has tokenizers, so it takes words", hint="give --prompt TEXT")
        if options.prompt is None:
            raise PipelineError("there is no prompt", hint="give --prompt TEXT")
        return {"prompt": options.prompt}
    if options.prompt is not None:
        raise PipelineError(
            f"the folder has no {' and no '.join(made.ids)} to read a prompt with",
            hint="give --prompt-ids, or neither for drawn ones; exports of a pipeline's own folder have tokenizers",
        )
    return _ids(made, options, names, notes)


def _ids(made: Assembled, options: RunOptions, names: Sequence[str], notes: list[str]) -> dict[str, Any]:
    texts = list(options.prompt_ids)
    if not texts:
        texts = [item.drawn(options.seed) for item in made.ids.values()]
        notes.append(f"no prompt: token ids are drawn from seed {options.seed}")
    if len(texts) not in (1, len(made.ids)):
        raise PipelineError(f"{len(texts)} prompts for {len(made.ids)} text encoders", hint="give one, or one each")
    texts = texts * len(made.ids) if len(texts) == 1 else texts
    for text, item in zip(texts, made.ids.values(), strict=True):
        item.ids(text)
    return dict(zip(names, texts, strict=False)) if len(names) > 1 else {names[0]: texts[0]}


def _classes(made: Assembled, options: RunOptions, notes: list[str]) -> list[int]:
    classes = int(made.pipe.transformer.config["num_embeds_ada_norm"])
    if options.prompt is not None:
        raise PipelineError("this model takes classes, no prompt", hint="give --prompt-ids 207")
    if not options.prompt_ids:
        notes.append(f"no class given: {options.seed % classes}, the seed, is taken")
        return [options.seed % classes]
    try:
        labels = [int(word) for text in options.prompt_ids for word in text.replace(",", " ").split()]
    except ValueError as error:
        raise PipelineError(f"{options.prompt_ids} are no classes", hint="give numbers: --prompt-ids 207") from error
    wrong = next((item for item in labels if not 0 <= item < classes), None)
    if wrong is not None:
        raise PipelineError(f"there is no class {wrong}: the model has {classes}")
    return labels
