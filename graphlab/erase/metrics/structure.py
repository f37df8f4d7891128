"""What of the image before is left in the image after, both from the same noise."""

from __future__ import annotations

import torch

from graphlab.erase.errors import EraseError


def structure_kept(before: torch.Tensor, after: torch.Tensor, *, block: int = 2) -> torch.Tensor:
    """Correlation (images,) of each pair after a low pass: Pearson's r over the means of `block` x `block` pixels.

    `before` and `after` (images, channels, height, width) come from the same noise, pair by pair. 1: all of the coarse
    image is kept; 0: nothing. Report the mean over LEAST_IMAGES pairs and more. NaN for a pair with an image that is
    flat throughout. EraseError for other shapes, and sizes that `block` does not divide.
    """
    if before.shape != after.shape or before.ndim != 4:
        raise EraseError(f"images {tuple(before.shape)} and {tuple(after.shape)} are no pairs")
    if before.shape[-1] % block or before.shape[-2] % block:
        raise EraseError(f"images of {before.shape[-2]} x {before.shape[-1]} pixels have no blocks of {block}")
    first, second = (torch.nn.functional.avg_pool2d(part.double(), block).flatten(1) for part in (before, after))
    first, second = (part - part.mean(1, keepdim=True) for part in (first, second))
    lengths: torch.Tensor = first.norm(dim=1) * second.norm(dim=1)
    return (first * second).sum(1) / lengths
