"""A diffusers or transformers folder to a Workload: configuration only, never weights, never remote code."""

from __future__ import annotations

import inspect
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphlab.components import COMPONENTS, Component, component_for
from graphlab.components.base import FRAMES_PER_LATENT, GUIDANCE_STOP, PIXELS_PER_LATENT
from graphlab.components.causal_lm import CLASSES as LANGUAGE_MODELS
from graphlab.components.causal_lm import causal_lm_workload
from graphlab.errors import SourceError, UnknownArchitectureError
from graphlab.sources.json_file import read_json
from graphlab.workload import Argument, Size, Stage, TensorInput, Variable, Workload

_DENOISERS = ("unet", "transformer", "transformer_2", "prior")
_DECODERS = ("vae", "vqvae", "movq", "vqmodel")
_UNRUN = ("scheduler", "tokenizer", "feature_extractor", "image_processor", "safety_checker", "watermarker")
_SIZES = {"height": "height", "width": "width", "num_frames": "frames", "max_sequence_length": "tokens"}
"""Parameters of a pipeline's `__call__` by whose defaults a variable starts, where they are numbers."""
_TORCH_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def folder_workload(folder: Path, source: str) -> Workload:
    """The Workload of a pipeline folder (`model_index.json`) or of one component's (`config.json`).

    SourceError without either file; UnknownArchitectureError for a class graphlab cannot call, for code that
    would have to be fetched, and for quantised weights whose layout the configuration hides.
    """
    if (folder / "model_index.json").is_file():
        return _pipeline(folder, source)
    if (folder / "config.json").is_file():
        return _single(folder, source)
    raise SourceError(
        f"{folder} holds neither model_index.json nor config.json",
        hint="a diffusers pipeline folder has the first, a component or a transformers model the second",
    )


def _single(folder: Path, source: str) -> Workload:
    config = read_json(folder / "config.json")
    class_name = class_of(config, folder)
    if class_name in LANGUAGE_MODELS:
        _refuse_quantised(config, folder)
        dtype, assumptions = _dtype(folder, config)
        made = causal_lm_workload(class_name, source, class_name, config, dtype)
        return replace(made, assumptions=(*made.assumptions, *assumptions))
    component, assumptions = folder_component(folder)
    stage = component.stage(component.class_name)
    return Workload(component.class_name, source, (stage,), component.variables, assumptions=assumptions)


def folder_component(folder: Path, known: Mapping[str, int] | None = None) -> tuple[Component, tuple[str, ...]]:
    """(component, assumptions) of the folder of one model; `known` is what the pipeline adds to its configuration."""
    config = read_json(folder / "config.json")
    class_name = class_of(config, folder)
    _refuse_quantised(config, folder)
    dtype, assumptions = _dtype(folder, config)
    return component_for(class_name, {**config, **(known or {})}, dtype), assumptions


def class_of(config: Mapping[str, Any], where: Path) -> str:
    """The model class a configuration names: diffusers' `_class_name`, transformers' `architectures`."""
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    named = config.get("_class_name") or first
    if not isinstance(named, str):
        raise SourceError(f"{where} names no class", hint="config.json needs _class_name or architectures")
    if named not in COMPONENTS and "auto_map" in config:
        raise UnknownArchitectureError(f"{where} needs code from outside ({named}), which graphlab never runs")
    return named


def _refuse_quantised(config: Mapping[str, Any], folder: Path) -> None:
    quantised = config.get("quantization_config")
    if quantised:
        method = quantised.get("quant_method", "unknown") if isinstance(quantised, dict) else "unknown"
        raise UnknownArchitectureError(
            f"{folder} is quantised ({method}): its graph and its bytes depend on kernels graphlab does not know",
            hint="remove quantization_config from config.json to analyse the unquantised model",
        )


def _dtype(folder: Path, config: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """(dtype, assumptions): the configuration's, else the weights', else float32."""
    named = config.get("dtype") or config.get("torch_dtype")
    if isinstance(named, str):
        dtype = named.removeprefix("torch.")
        if dtype not in _TORCH_DTYPES.values():
            raise SourceError(
                f"{folder / 'config.json'} names the dtype {named!r}",
                hint=f"known: {', '.join(_TORCH_DTYPES.values())}",
            )
        return dtype, ()
    for file in sorted(folder.glob("*.safetensors")):
        found = _safetensors_dtype(file)
        if found is not None:
            return found, ()
    return "float32", (f"{folder.name}: config.json names no dtype and there are no weights to read it from: float32",)


def _safetensors_dtype(file: Path) -> str | None:
    """The dtype of the first floating tensor a safetensors header lists."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, 100_000_000)))
    except (OSError, ValueError, struct.error):
        return None
    entries = (entry for entry in header.values() if isinstance(entry, dict))
    return next((_TORCH_DTYPES[e["dtype"]] for e in entries if e.get("dtype") in _TORCH_DTYPES), None)


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What a pipeline class's `__call__` says: steps, guidance, sizes {variable: default}.

    `true_cfg` is the default of `true_cfg_scale`, None where the class has no such parameter: with it, guidance
    is an input of the denoiser and only a true scale above 1 adds calls. `zeros` says that an absent negative
    prompt is zeros and not encoded.
    """

    steps: int
    guidance: float
    true_cfg: float | None = None
    sizes: Mapping[str, int] | None = None
    zeros: bool = False
    assumptions: tuple[str, ...] = ()


def _pipeline(folder: Path, source: str) -> Workload:
    index = read_json(folder / "model_index.json")
    pipeline = str(index.get("_class_name", ""))
    defaults = _defaults(pipeline, index)
    parts, assumptions = _parts(folder, index)
    if not parts:
        raise SourceError(f"{folder / 'model_index.json'} lists no component graphlab analyses")
    denoisers = {name: part for name, part in parts.items() if name in _DENOISERS}
    encoders = {name: part for name, part in parts.items() if _reads_tokens(name, part)}
    own = _own_lengths(encoders, defaults)
    sampled, guided = _guidance(denoisers, defaults)
    stages: list[Stage] = []
    for name, part in parts.items():
        inputs = _encoder_inputs(part, own.get(name), denoisers) if name in encoders else {}
        stages.append(_stage(name, part, inputs, _calls(name, guided, defaults)))
    stages.sort(
        key=lambda stage: 0 if stage.name.startswith(("text", "image")) else 2 if "decoder" in stage.name else 1
    )
    return Workload(
        pipeline or folder.name,
        source,
        tuple(stages),
        (*_variables(parts, own, encoders, defaults), *sampled),
        assumptions=(*defaults.assumptions, *assumptions),
    )


def _parts(folder: Path, index: Mapping[str, Any]) -> tuple[dict[str, Component], tuple[str, ...]]:
    """({name: component} in the index's order, assumptions); denoisers are told their autoencoder's scale."""
    names = [name for name, entry in index.items() if _is_component(name, entry)]
    for name in names:
        if not (folder / name).is_dir():
            raise SourceError(f"{folder} lists the component {name}, whose folder is missing")
    found = {name: folder_component(folder / name) for name in names if name not in _DENOISERS}
    scale: dict[str, int] = {}
    for name in _DECODERS:
        if name in found and not scale:
            part = found[name][0]
            values = {PIXELS_PER_LATENT: part.pixels_per_latent, FRAMES_PER_LATENT: part.frames_per_latent}
            scale = {key: value for key, value in values.items() if value is not None}
    found |= {name: folder_component(folder / name, scale) for name in names if name in _DENOISERS}
    notes = [note for name in names for note in found[name][1]]
    if "transformer" in found and "transformer_2" in found:
        notes.append("transformer and transformer_2 take turns over the steps; each is listed with all of them")
    return {name: found[name][0] for name in names}, tuple(notes)


def _stage(name: str, part: Component, inputs: Mapping[str, Argument], calls: Size) -> Stage:
    return part.stage(
        "vae_decoder" if name in _DECODERS else name,
        steps="steps" if name in _DENOISERS else 1,
        calls_per_step=_stopping(calls) if name in _DENOISERS else calls,
        inputs=inputs,
    )


def _stopping(calls: Size) -> Size:
    """`calls`, guided by `guidance` only in the first `guidance_stop` of the steps."""
    guided = "guidance > 1"
    return calls.replace(guided, f"{guided} and step < guidance_stop * steps") if isinstance(calls, str) else calls


def _guidance(denoisers: Mapping[str, Component], defaults: _Defaults) -> tuple[tuple[Variable, ...], Size]:
    """(variables of the sampling, calls that a prompt takes)."""
    steps = Variable("steps", defaults.steps, "denoising steps")
    distilled = any(_distilled(part) for part in denoisers.values())
    if defaults.true_cfg is None and not distilled:
        text = "guidance scale; above 1 every step makes two calls"
        guidance = Variable("guidance", defaults.guidance, text, minimum=0)
        return (steps, guidance, GUIDANCE_STOP), "2 if guidance > 1 else 1"
    found = [steps]
    if distilled:
        text = "guidance scale; an input of the denoiser, no second call"
        found.append(Variable("guidance", defaults.guidance, text, minimum=0))
    if defaults.true_cfg is None:
        return tuple(found), 1
    text = "true guidance scale; above 1, with a negative prompt, calls double"
    found.append(Variable("true_cfg", defaults.true_cfg, text, minimum=0))
    return tuple(found), "2 if true_cfg > 1 else 1"


def _distilled(component: Component) -> bool:
    """Whether guidance is an input of the denoiser and not a second call."""
    return "guidance" in component.inputs or "timestep_cond" in component.inputs


def _calls(name: str, guided: Size, defaults: _Defaults) -> Size:
    """Calls a step: decoders and image encoders run once, text encoders once more for a negative prompt."""
    once = name in _DECODERS or name.startswith("image") or (defaults.zeros and name.startswith("text"))
    return 1 if once else guided


def _is_component(name: str, entry: Any) -> bool:
    named = isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str)
    return named and not name.startswith(("_", *_UNRUN))


def _reads_tokens(name: str, part: Component) -> bool:
    """Whether `part` is a text encoder."""
    return name not in _DENOISERS and any(variable.name == "tokens" for variable in part.variables)


def _longest(part: Component) -> int | None:
    """The most tokens a text encoder takes; None for relative positions."""
    limit = next(variable.maximum for variable in part.variables if variable.name == "tokens")
    return None if limit is None else int(limit)


def _own_lengths(encoders: Mapping[str, Component], defaults: _Defaults) -> dict[str, int]:
    """{encoder: its length} of those whose length is not `tokens`.

    Pipelines pad CLIP's prompt to all its positions. Where another encoder sets the text's length (T5, Llama;
    the pipeline has a max_sequence_length), `tokens` is that one's; with CLIP alone, `tokens` is CLIP's.
    """
    limits = {name: _longest(part) for name, part in encoders.items()}
    shared = None not in limits.values() and "tokens" not in (defaults.sizes or {})
    return {} if shared else {name: limit for name, limit in limits.items() if limit is not None}


def _encoder_inputs(part: Component, own: int | None, denoisers: Mapping[str, Component]) -> dict[str, Argument]:
    """The inputs of a text encoder in its pipeline: its own length, or `tokens` as the denoiser's pipeline calls it."""
    reader = next(iter(denoisers.values()), None)
    if own is not None:
        return {name: _of_length(argument, own) for name, argument in part.inputs.items()}
    if reader is None or _longest(part) is not None:
        return {}
    length: Size = f"tokens + {reader.template_tokens}" if reader.template_tokens else "tokens"
    found = {name: _of_length(argument, length) for name, argument in part.inputs.items()}
    return found if reader.masked_text else {**found, "attention_mask": None}


def _of_length(argument: Argument, length: Size) -> Argument:
    if not isinstance(argument, TensorInput):
        return argument
    return replace(argument, shape=tuple(length if size == "tokens" else size for size in argument.shape))


def _variables(
    parts: Mapping[str, Component], own: Mapping[str, int], encoders: Mapping[str, Component], defaults: _Defaults
) -> tuple[Variable, ...]:
    """Variables by name: the denoiser's, then the others'; defaults are the pipeline's where it has them."""
    found: dict[str, Variable] = {}
    for name in sorted(parts, key=lambda name: name not in _DENOISERS):
        for variable in parts[name].variables:
            if not (name in own and variable.name == "tokens"):
                found.setdefault(variable.name, variable)
    limits = [limit for name in encoders if name not in own and (limit := _longest(encoders[name])) is not None]
    if limits and "tokens" in found:
        shortest = min(limits)
        tokens = found["tokens"]
        found["tokens"] = replace(tokens, default=min(tokens.default, shortest), maximum=shortest)
    return tuple(_starting(variable, defaults.sizes or {}) for variable in found.values())


def _starting(variable: Variable, sizes: Mapping[str, int]) -> Variable:
    """`variable` with the pipeline's default, kept inside the model's range."""
    default = max(sizes.get(variable.name, variable.default), variable.minimum)
    if variable.maximum is not None:
        default = min(default, variable.maximum)
    return variable if default % variable.multiple_of else replace(variable, default=default)


def _defaults(pipeline: str, index: Mapping[str, Any]) -> _Defaults:
    """The defaults of the pipeline class's own `__call__`."""
    import diffusers

    kind = getattr(diffusers, pipeline, None) if pipeline else None
    if kind is None or not inspect.isclass(kind):
        note = f"pipeline class {pipeline or 'not named'} is unknown: 50 steps, guidance 7.5 assumed"
        return _Defaults(50, 7.5, assumptions=(note,))
    parameters = inspect.signature(kind.__call__).parameters
    given = {name: parameter.default for name, parameter in parameters.items()}
    steps = given.get("num_inference_steps", 50)
    guidance = given.get("guidance_scale", given.get("max_guidance_scale", 1.0))
    notes: tuple[str, ...] = ()
    if not isinstance(steps, int) or not isinstance(guidance, (int, float)):
        steps, guidance = 50, 7.5
        notes = (f"{pipeline} leaves its steps or guidance open: 50 steps, guidance 7.5 assumed",)
    true_cfg = given.get("true_cfg_scale")
    made = inspect.signature(kind.__init__).parameters.get("force_zeros_for_empty_prompt")
    zeros = made is not None and bool(index.get("force_zeros_for_empty_prompt", made.default))
    if zeros:
        notes += ("no negative prompt: the pipeline puts zeros (force_zeros_for_empty_prompt), no second encoding",)
    return _Defaults(
        steps,
        float(guidance),
        float(true_cfg) if isinstance(true_cfg, (int, float)) else None,
        {_SIZES[name]: value for name, value in given.items() if name in _SIZES and isinstance(value, int)},
        zeros,
        notes,
    )
