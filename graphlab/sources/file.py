"""One file to a Workload: told apart by content, then read by the module for its kind."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.components import component_for
from graphlab.errors import SourceError, UnsafeSourceError
from graphlab.names import nearest
from graphlab.sources.bare import program_workload
from graphlab.sources.json_file import read_json
from graphlab.sources.onnx_file import onnx_workload
from graphlab.sources.sniff import STATE_DICTS, SourceKind, sniff
from graphlab.workload import Stage, Variable, Workload

if TYPE_CHECKING:
    import torch

    from graphlab.sources.fingerprint import Fingerprint
    from graphlab.sources.options import LoadOptions

_DENOISERS = ("unet", "transformer", "denoiser")


def file_workload(path: Path, source: str, options: LoadOptions) -> Workload:
    """The Workload of the file at `path`; SourceError and its kinds for what cannot be read or must not run."""
    kind = sniff(path)
    if kind in (SourceKind.EXPORTED_PROGRAM, SourceKind.EXPORTED_PROGRAM_OLD):
        refuse_unused(options, source, inputs=True, config=True)
        return _exported(path, source)
    if kind is SourceKind.ONNX:
        refuse_unused(options, source, config=True)
        return onnx_workload(path, source, options.inputs, dynamic=options.dynamic)
    if kind is SourceKind.TORCHSCRIPT:
        from graphlab.sources.torchscript import hide_scripted, load_torchscript, script_inputs

        refuse_unused(options, source, config=True)
        module = load_torchscript(path)
        made = _module(hide_scripted(module), script_inputs(module), source, options, positional=True)
        return _named_like_the_script(made, module, options)
    if kind not in STATE_DICTS:
        raise SourceError(f"{path} is a {kind.value}, which is no source", hint="name the folder or file of a model")
    if options.trust_pickle:
        loaded = _trusted(path, source, options)
        if loaded is not None:
            return loaded
    return _checkpoint(path, source, options)


def _named_like_the_script(made: Workload, module: Any, options: LoadOptions) -> Workload:
    """`made` with the script's own class name and input names; its wrapper takes `*arguments`."""
    (stage,) = made.stages
    assert stage.program is not None
    given = [name for name in script_names(module) if name in options.inputs]
    graph = stage.program.graph.with_inputs_named({f"arguments_{i}": name for i, name in enumerate(given)})
    name = str(getattr(module, "original_name", "") or stage.name)
    program = replace(stage.program, name=name, graph=graph, exported=None)
    return program_workload(program, made.source, made.assumptions)


def script_names(module: Any) -> tuple[str, ...]:
    """The script's input names, in order."""
    from graphlab.sources.torchscript import script_inputs

    return script_inputs(module)


def refuse_unused(options: LoadOptions, source: str, *, inputs: bool = False, config: bool = False) -> None:
    """SourceError for an option that `source` has no use for: it would be ignored without a word."""
    if inputs and options.inputs:
        raise SourceError(
            f"{source} has its own input shapes", hint="--input is for ONNX, TorchScript and pickled modules"
        )
    if config and options.config is not None:
        raise SourceError(f"{source} is not a state dict", hint="--config is for state dicts")


def _exported(path: Path, source: str) -> Workload:
    from graphlab.program import Program
    from graphlab.sources.archive import load_exported_program
    from graphlab.sources.extract import extract
    from graphlab.sources.module import root_class, saved_history, saved_notes

    exported = load_exported_program(path)
    graph = extract(exported)
    history = saved_history(exported)
    done = ", ".join(entry.partition(";")[0] for entry in history)
    notes = (*saved_notes(exported), *((f"rewritten before it was saved: {done}",) if done else ()))
    return program_workload(Program(root_class(graph.nodes) or "program", graph, exported, notes, history), source)


def _trusted(path: Path, source: str, options: LoadOptions) -> Workload | None:
    """The pickled module in `path`; None when the file holds a state dict, which needs no trust."""
    from graphlab.sources.checkpoint import load_trusted_module, read_state_dict

    try:
        read_state_dict(path)
    except UnsafeSourceError:
        module = load_trusted_module(path)
        return _module(module, tuple(inspect.signature(module.forward).parameters), source, options)
    return None


def _module(
    module: torch.nn.Module, names: tuple[str, ...], source: str, options: LoadOptions, *, positional: bool = False
) -> Workload:
    """`module` captured with tensors of the shapes `--input` gives, by name or, for scripts, in their order."""
    from graphlab.sources.module import capture

    if not options.inputs:
        raise SourceError(
            f"{source} does not say the shapes of its inputs ({', '.join(names) or 'unnamed'})",
            hint="give each with --input, as in --input sample=2x4x64x64:float16",
        )
    unknown = [name for name in options.inputs if name not in names]
    if unknown and names:
        raise SourceError(
            f"{source} has no input {unknown[0]!r}", hint=f"{nearest(unknown[0], names)}it has: {', '.join(names)}"
        )
    tensors = {name: parse_tensor(text) for name, text in options.inputs.items()}
    args = tuple(tensors[name] for name in names if name in tensors) if positional else ()
    kwargs = {} if positional else tensors
    program = capture(module, args, kwargs, "auto" if options.dynamic else False)
    return program_workload(program, source)


def parse_tensor(text: str) -> torch.Tensor:
    """An empty tensor of "2x4x64x64:float16" on the CPU; SourceError for another spelling or an unknown dtype."""
    import torch

    shape, _, name = text.partition(":")
    dtype = getattr(torch, name or "float32", None)
    if not re.fullmatch(r"(\d+(x\d+)*)?", shape) or not isinstance(dtype, torch.dtype):
        raise SourceError(f"{text!r} is no tensor", hint="write sizes and a dtype, as in 2x4x64x64:float16")
    return torch.zeros([int(size) for size in shape.split("x") if size], dtype=dtype)


def _checkpoint(path: Path, source: str, options: LoadOptions) -> Workload:
    from graphlab.sources.checkpoint import read_state_dict
    from graphlab.sources.erase_base import erase_base_workload, is_erase_base
    from graphlab.sources.fingerprint import identify

    refuse_unused(options, source, inputs=True)
    index = read_state_dict(path)
    if is_erase_base(index):
        refuse_unused(options, source, config=True)
        return erase_base_workload(path, source, index)
    config: Mapping[str, Any] | None = read_json(options.config) if options.config is not None else None
    found = identify(index, config)
    stages: list[Stage] = []
    variables: dict[str, Variable] = {}
    for item in sorted(found, key=_order):
        stage, own = _stage(item)
        stages.append(stage)
        for variable in own:
            variables.setdefault(variable.name, variable)
    assumptions = [text for item in found for text in item.assumptions]
    if any(stage.name in _DENOISERS for stage in stages):
        variables["steps"] = Variable("steps", 1, "denoising steps")
        variables["guidance"] = Variable(
            "guidance", 1.0, "guidance scale; above 1 every step makes two calls", minimum=0
        )
        assumptions.append("a checkpoint does not say how often its parts run: one step without guidance")
    return Workload(
        found[0].name if len(found) == 1 else path.stem,
        source,
        tuple(stages),
        tuple(variables.values()),
        assumptions=tuple(dict.fromkeys(assumptions)),
    )


def _order(item: Fingerprint) -> int:
    return 0 if item.stage.startswith("text") else 2 if item.stage == "vae" else 1


def _stage(item: Fingerprint) -> tuple[Stage, tuple[Variable, ...]]:
    component = component_for(item.class_name, item.config, item.dtype)
    name = "vae_decoder" if item.stage == "vae" else item.stage
    if item.stage not in _DENOISERS:
        return component.stage(name), component.variables
    calls = 1 if "guidance" in component.inputs else "2 if guidance > 1 else 1"
    return component.stage(name, steps="steps", calls_per_step=calls), component.variables
