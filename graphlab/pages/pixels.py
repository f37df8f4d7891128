"""Pixels as PNG bytes for a page, at most a few hundred pixels a side."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from graphlab.report.html import Picture

if TYPE_CHECKING:
    import torch

MOST_SIDE = 768
MOST_PICTURES = 4


def png(pixels: torch.Tensor) -> bytes:
    """`pixels` (height, width, 1 or 3) uint8 as PNG; every n-th of them where a side is longer than MOST_SIDE."""
    from PIL import Image

    step = -(-max(pixels.shape[:2]) // MOST_SIDE)
    array = pixels[::step, ::step].contiguous().numpy()
    out = io.BytesIO()
    Image.fromarray(array.squeeze(-1) if array.shape[-1] == 1 else array).save(out, format="PNG", optimize=False)
    return out.getvalue()


def result_pictures(values: torch.Tensor, alt: str) -> tuple[Picture, ...]:
    """The first images, or frames of the first video, of a result from 0 to 1.

    `values` are images (images, height, width, channels) or videos (videos, frames, height, width, channels); what
    has another number of axes or of channels is no picture, and gives none.
    """
    frames = values[0] if values.dim() == 5 and len(values) else values
    if frames.dim() != 4 or frames.shape[-1] not in (1, 3):
        return ()
    kind = "frame" if values.dim() == 5 else "image"
    count = len(frames)
    return tuple(
        Picture(f"{kind} {place} of {count}", png(_bytes(frame)), f"{kind} {place} of {count}: {alt}")
        for place, frame in enumerate(frames[:MOST_PICTURES], 1)
    )


def _bytes(frame: torch.Tensor) -> torch.Tensor:
    import torch

    return (frame * 255).round().clamp(0, 255).to(torch.uint8)
