"""Optimum's own export of a U-Net: made in its environment, from the weights every other file has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from benchmarks.export_rivalry.cases import Case, arguments, module_with_weights
from benchmarks.interop.environment import InteropError, optimum_environment

_INSIDE = Path(__file__).with_name("inside_optimum.py")
_CLASS = "UNet2DConditionModel"
"""The one denoiser of the cases that Optimum has a configuration for."""


def export_with_optimum(case: Case, name: str, path: Path, spec: str) -> dict[str, Any]:
    """Writes `case` by Optimum to `path`, whatever its `name`.

    InteropError for a class it cannot export, or where its environment fails. The module's configuration and
    weights go through files beside `path`, which are deleted again.
    """
    module = module_with_weights(case, case.source(spec))
    if type(module).__name__ != _CLASS:
        raise InteropError(f"Optimum exports {_CLASS}, it has no configuration for {type(module).__name__}")
    environment = optimum_environment()
    environment.prepare()
    config, weights = path.with_name("config.json"), path.with_name("weights.safetensors")
    config.write_text(module.to_json_string())
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, weights)
    sizes = {
        name: list(value.shape) for name, value in arguments(case).items() if getattr(value, "shape", None) is not None
    }
    del module
    try:
        return environment.run(_INSIDE, str(config), str(weights), str(path), json.dumps(sizes))
    finally:
        config.unlink(missing_ok=True)
        weights.unlink(missing_ok=True)
