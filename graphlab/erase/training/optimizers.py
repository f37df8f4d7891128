"""The optimizers of a run, by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from graphlab.erase.training.config import TrainingConfig


def optimizer_of(config: TrainingConfig, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Adam, AdamW, or SGD with momentum, with torch's defaults for what the configuration leaves open."""
    trained = list(parameters)
    if config.optimizer == "sgd":
        decay = config.weight_decay or 0.0
        return torch.optim.SGD(trained, lr=config.rate, momentum=config.momentum, weight_decay=decay)
    if config.optimizer == "adamw":
        decay = 0.01 if config.weight_decay is None else config.weight_decay
        return torch.optim.AdamW(trained, lr=config.rate, weight_decay=decay)
    return torch.optim.Adam(trained, lr=config.rate, weight_decay=config.weight_decay or 0.0)
