"""`load`: whatever a user names (a model, a file, a folder, a function) to a Workload."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from graphlab.errors import SourceError
from graphlab.models import find_model
from graphlab.sources.options import LoadOptions
from graphlab.workload import Workload


def load(
    source: str | os.PathLike[str],
    *,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    dynamic: bool = True,
    **bindings: int | float,
) -> Workload:
    """The Workload of `source`, with `bindings` in force.

    `source` is a built-in name, a `.pt2` or `.pt` with an exported program, TorchScript, a state dict in any
    usual file, a diffusers or transformers folder, or "path/file.py:function". `config` names the
    configuration of a state dict whose architecture its keys do not show. A pickled module is only read
    with `trust_pickle`. `inputs` gives shapes where the source has none: {"sample": "2x4x64x64:float16"}.
    Raises SourceError and its kinds for what cannot be read, BindingError for impossible bindings.
    """
    options = LoadOptions(Path(config) if config is not None else None, trust_pickle, dict(inputs or {}), dynamic)
    workload = _resolve(os.fspath(source), options)
    return workload.bind(bindings) if bindings else workload


def _resolve(source: str, options: LoadOptions) -> Workload:
    if not source.strip():
        raise SourceError("the source is empty", hint="name a built-in model (`graphlab models`), a file or a folder")
    file, _, function = source.rpartition(":")
    if function.isidentifier() and file.endswith(".py"):
        from graphlab.sources.file import refuse_unused
        from graphlab.sources.function import function_workload

        refuse_unused(options, source, inputs=True, config=True)
        return function_workload(Path(file), function, source, dynamic=options.dynamic)
    path = Path(source)
    if path.is_dir():
        from graphlab.sources.file import refuse_unused
        from graphlab.sources.folder import folder_workload

        refuse_unused(options, source, inputs=True, config=True)
        return folder_workload(path, source)
    if path.suffix == ".py":
        from graphlab.sources.function import no_function

        raise no_function(path, source)
    if path.exists():
        from graphlab.sources.file import file_workload

        return file_workload(path, source, options)
    if "/" in source or os.sep in source or path.suffix in _SUFFIXES:
        raise SourceError(f"no such file or folder: {source}", hint="`graphlab models` lists the built-in models")
    model = find_model(source)
    from graphlab.sources.file import refuse_unused

    refuse_unused(options, source, inputs=True, config=True)
    return replace(model.workload(), source=source)


_SUFFIXES = (".pt", ".pt2", ".pth", ".bin", ".ckpt", ".safetensors", ".json", ".py", ".onnx", ".gguf")
