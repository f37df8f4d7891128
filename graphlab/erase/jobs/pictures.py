"""Images side by side as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError

GAP, PAPER = 1, 96
"""Pixels between images, and their grey (0 to 255)."""


def grid(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Pixels (height, width, 3) uint8 of `rows` of images (images, 1 or 3, height, width) in [-1, 1], GAP between them.

    Values beyond the range are cut. EraseError for no row, rows of different lengths, and images of different shapes.
    """
    if not rows or any(row.shape != rows[0].shape for row in rows) or rows[0].dim() != 4 or not rows[0].numel():
        raise EraseError(f"rows of images {[tuple(row.shape) for row in rows]} make no picture")
    count, channels, height, width = rows[0].shape
    if channels not in (1, 3):
        raise EraseError(f"images of {channels} channels cannot be shown")
    made = torch.full((len(rows) * (height + GAP) + GAP, count * (width + GAP) + GAP, 3), PAPER, dtype=torch.uint8)
    for down, row in enumerate(rows):
        shown = ((row.detach().cpu().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        for across, image in enumerate(shown.expand(-1, 3, -1, -1)):
            top, left = GAP + down * (height + GAP), GAP + across * (width + GAP)
            made[top : top + height, left : left + width] = image.permute(1, 2, 0)
    return made


def write_png(path: Path, pixels: torch.Tensor, scale: int = 8) -> None:
    """Writes `pixels` (height, width, 3) uint8 as PNG, each of them `scale` x `scale` large.

    EraseError for a path that cannot be written.
    """
    from PIL import Image

    large = pixels.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    part = path.with_name(f".{path.name}.part")
    try:
        Image.fromarray(large.numpy()).save(part, format="PNG")
        part.replace(path)
    except OSError as error:
        raise EraseError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
