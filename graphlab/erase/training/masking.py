"""Holds masked-out weights at their very bits, whatever the optimizer does.

A gradient of 0 is not enough: weight decay moves a weight without gradient, and fills the moments of optimizers that
add it to the gradient. So gradients are cut, moments are cut, and the weights are put back after every step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.masks import WeightMask, pack, weight_hash
from graphlab.names import nearest

Masks = Mapping[str, torch.Tensor]
"""{key of a weight: boolean tensor of its shape, true where it may change}."""


def masks_of(mask: WeightMask | Masks, module: nn.Module) -> dict[str, torch.Tensor]:
    """{key: boolean tensor} of `mask`, which was made for the weights of `module`.

    EraseError for a key the module has no parameter for, another shape or dtype, a mask in which no entry is set, and,
    for one read from a file, for a base whose masked weights are not those of `module`.
    """
    parameters = dict(module.named_parameters())
    if isinstance(mask, WeightMask):
        masks = {key: mask.bits(key) for key in mask.weights}
    else:
        masks = dict(mask)
    for key, bits in masks.items():
        if key not in parameters:
            raise EraseError(f"the model has no parameter {key!r} to mask", hint=nearest(key, parameters) or None)
        if bits.dtype is not torch.bool or bits.shape != parameters[key].shape:
            raise EraseError(
                f"the mask of {key} is {bits.dtype} {tuple(bits.shape)}, "
                f"expected torch.bool {tuple(parameters[key].shape)}"
            )
        if isinstance(mask, WeightMask) and mask.weights[key].sha256 != weight_hash(key, parameters[key].detach()):
            raise EraseError(f"the mask was made for another base: {key} differs", hint="make it for this one")
    if not any(bool(bits.any()) for bits in masks.values()):
        raise EraseError("no entry of the mask is set: nothing may change")
    return masks


def masks_hash(masks: Masks) -> str:
    """SHA-256, in hexadecimal, of keys, shapes and bits, in the order of the keys."""
    digest = hashlib.sha256()
    for key in sorted(masks):
        digest.update(f"{key}\0{tuple(masks[key].shape)}\0".encode())
        digest.update(pack(masks[key]).numpy().data)
    return digest.hexdigest()


class MaskGuard:
    """Keeps parameters at their values of now wherever their mask is not set; those without a mask are free."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], masks: Masks) -> None:
        self._guarded = [
            (parameter, masks[name].to(parameter.device), parameter.detach().clone())
            for name, parameter in parameters.items()
            if name in masks and not bool(masks[name].all())
        ]

    @torch.no_grad()
    def cut_gradients(self) -> None:
        """Gradients outside the masks become 0, also those that are NaN; call it before they are clipped."""
        for parameter, mask, _ in self._guarded:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~mask, 0)

    @torch.no_grad()
    def restore(self, optimizer: torch.optim.Optimizer) -> None:
        """Weights outside the masks get their bits back and moments there become 0; call it after a step."""
        for parameter, mask, kept in self._guarded:
            parameter.copy_(torch.where(mask, parameter, kept))
            for name, value in optimizer.state.get(parameter, {}).items():
                if name != "step" and isinstance(value, torch.Tensor) and value.shape == mask.shape:
                    value.masked_fill_(~mask, 0)
