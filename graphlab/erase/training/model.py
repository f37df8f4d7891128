"""A module with weights, and how it is called as the network of a denoiser: what is trained, copied and wrapped."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from graphlab.erase.denoiser import Denoiser, Network
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import NoiseSchedule, Parametrisation
from graphlab.masks import base_hash, weight_hash


@dataclass(frozen=True)
class ConditionedUNet:
    """A diffusers UNet2DConditionModel, or what is called like one, as a network."""

    unet: nn.Module

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """The prediction (batch, channels, height, width)."""
        made: torch.Tensor = self.unet(x, time, encoder_hidden_states=text, return_dict=False)[0]
        return made


@dataclass(frozen=True)
class Model:
    """`module` holds the weights and `network_of` calls it; `schedule` and `kind` are those it was trained with.

    `network_of` is given the module, a copy of it or a wrapper around it, and must call what it is given.
    """

    module: nn.Module
    schedule: NoiseSchedule
    kind: Parametrisation = "epsilon"
    network_of: Callable[[nn.Module], Network] = ConditionedUNet

    @property
    def denoiser(self) -> Denoiser:
        """The module as a denoiser; they share their weights."""
        return Denoiser(self.network_of(self.module), self.schedule, self.kind)

    def around(self, module: nn.Module) -> Model:
        """The same model with another module."""
        return replace(self, module=module)

    def copied(self) -> Model:
        """A model of the same values in memory of its own."""
        return self.around(copy.deepcopy(self.module))


def weight_hashes(module: nn.Module) -> dict[str, str]:
    """{key: SHA-256} of every parameter and buffer of a module's state dict, as mask files hash them."""
    return {key: weight_hash(key, tensor) for key, tensor in module.state_dict().items()}


def module_hash(module: nn.Module) -> str:
    """SHA-256 of all weights of a module, in hexadecimal. EraseError for a module without weights."""
    hashes = weight_hashes(module)
    if not hashes:
        raise EraseError("the model has no weights")
    return base_hash(hashes)
