"""A diffusers or transformers folder to a Workload: configuration only, never weights, never remote code."""

from __future__ import annotations

import inspect
import json
import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphlab.components import COMPONENTS, Component, component_for
from graphlab.components.causal_lm import CLASSES as LANGUAGE_MODELS
from graphlab.components.causal_lm import causal_lm_workload
from graphlab.errors import SourceError, UnknownArchitectureError
from graphlab.sources.json_file import read_json
from graphlab.workload import Stage, Variable, Workload

_DENOISERS = ("unet", "transformer", "transformer_2", "prior")
_DECODERS = ("vae", "vqvae", "movq", "vqmodel")
_UNRUN = ("scheduler", "tokenizer", "feature_extractor", "image_processor", "safety_checker", "watermarker")
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


def folder_component(folder: Path) -> tuple[Component, tuple[str, ...]]:
    """(component, assumptions) of the folder of one model."""
    config = read_json(folder / "config.json")
    class_name = class_of(config, folder)
    _refuse_quantised(config, folder)
    dtype, assumptions = _dtype(folder, config)
    return component_for(class_name, config, dtype), assumptions


def class_of(config: Mapping[str, Any], where: Path) -> str:
    """The model class a configuration names: diffusers' `_class_name`, transformers' `architectures`."""
    named = config.get("_class_name") or (config.get("architectures") or [None])[0]
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
        return named.removeprefix("torch."), ()
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


def _pipeline(folder: Path, source: str) -> Workload:
    index = read_json(folder / "model_index.json")
    pipeline = str(index.get("_class_name", ""))
    steps, guidance, assumptions = _defaults(pipeline)
    stages: list[Stage] = []
    pools: list[tuple[Variable, ...]] = []
    for name, entry in index.items():
        if name.startswith("_") or not _is_component(name, entry):
            continue
        if not (folder / name).is_dir():
            raise SourceError(f"{folder} lists the component {name}, whose folder is missing")
        component, found = folder_component(folder / name)
        assumptions.extend(found)
        loop = name in _DENOISERS
        calls = "2 if guidance > 1 else 1"
        stages.append(
            component.stage(
                "vae_decoder" if name in _DECODERS else name,
                steps="steps" if loop else 1,
                calls_per_step=1 if name in _DECODERS or (loop and _distilled(component)) else calls,
            )
        )
        pools.insert(0 if loop else len(pools), component.variables)
    if not stages:
        raise SourceError(f"{folder / 'model_index.json'} lists no component graphlab analyses")
    own = (Variable("steps", steps, "denoising steps"), Variable("guidance", guidance, "guidance scale", minimum=0))
    stages.sort(
        key=lambda stage: 0 if stage.name.startswith(("text", "image")) else 2 if "decoder" in stage.name else 1
    )
    return Workload(
        pipeline or folder.name, source, tuple(stages), _merged([*pools, own]), assumptions=tuple(assumptions)
    )


def _distilled(component: Component) -> bool:
    """Whether guidance is an input of the denoiser and not a second call."""
    return "guidance" in component.inputs


def _is_component(name: str, entry: Any) -> bool:
    named = isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], str)
    return named and not name.startswith(_UNRUN)


def _merged(pools: Iterable[tuple[Variable, ...]]) -> tuple[Variable, ...]:
    """Variables by name; the denoiser's, which come first, decide defaults."""
    found: dict[str, Variable] = {}
    for pool in pools:
        for variable in pool:
            found.setdefault(variable.name, variable)
    return tuple(found.values())


def _defaults(pipeline: str) -> tuple[int, float, list[str]]:
    """(steps, guidance, assumptions): the defaults of the pipeline class's own `__call__`."""
    import diffusers

    kind = getattr(diffusers, pipeline, None) if pipeline else None
    if kind is None or not inspect.isclass(kind):
        return 50, 7.5, [f"pipeline class {pipeline or 'not named'} is unknown: 50 steps, guidance 7.5 assumed"]
    parameters = inspect.signature(kind.__call__).parameters
    steps = parameters["num_inference_steps"].default if "num_inference_steps" in parameters else 50
    guidance = parameters["guidance_scale"].default if "guidance_scale" in parameters else 1.0
    if not isinstance(steps, int) or not isinstance(guidance, (int, float)):
        return 50, 7.5, [f"{pipeline} leaves its steps or guidance open: 50 steps, guidance 7.5 assumed"]
    return steps, float(guidance), []
