"""Where torch computes: named on the command line, checked before any work."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.config import TrainingConfig


def device_named(name: str) -> torch.device:
    """The device of a name ("cpu", "cuda", "cuda:1", "mps"); EraseError for one torch does not know or have."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EraseError(f"no device {name!r}: {str(error).splitlines()[0]}") from error
    if device.type == "meta":
        raise EraseError("the device meta has no numbers")
    return device


def placed(source: ErasureSource, config: TrainingConfig, device: str | None) -> TrainingConfig:
    """Moves `source` to `device`, and says how training is to be told of it.

    In a precision other than "no" accelerate does the placing. EraseError where it would take another device.
    """
    if device is not None:
        source.to(device_named(device))
    if config.precision == "no":
        return config
    if device is not None:
        _tell_accelerate(device)
    return replace(config, backend="accelerate")


def _tell_accelerate(device: str) -> None:
    try:
        accelerate: Any = import_module("accelerate")
    except ImportError as error:
        raise EraseError(
            "a precision needs accelerate, which is not installed", hint="pip install 'graphlab[erase]'"
        ) from error
    state = accelerate.PartialState(cpu=device == "cpu")
    if state.device.type != torch.device(device).type:
        raise EraseError(f"accelerate computes on {state.device}, not on {device}")
