"""Images side by side as one picture, and pictures as the text of their PNG files."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.plan import Group, Plan

GAP, PAPER = 1, 96
"""Pixels between images, and their grey (0 to 255)."""
COLUMNS = 8
"""Images a row of a picture: of digits, what fits a terminal."""
MOST_SIDE = 4096
"""Pixels a side of a picture that is read."""


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


def before_after(
    asked: Plan, before: Mapping[Group, torch.Tensor], after: Mapping[Group, torch.Tensor]
) -> torch.Tensor:
    """The `grid` of at most COLUMNS images of a plan: the concept before and after, and as many others.

    The images of a column start from one noise. Others are left out where there are fewer of them.
    """
    labels = asked["kept"].labels[:, -1].tolist()
    firsts = [labels.index(label) for label in dict.fromkeys(labels)]
    count = min(COLUMNS, len(before["trained"]))
    others = [*firsts, *(index for index in range(len(labels)) if index not in set(firsts))][:count]
    rows = [before["trained"][:count], after["trained"][:count]]
    return grid(rows if len(others) < count else [*rows, before["kept"][others], after["kept"][others]])


def smaller(images: torch.Tensor, most: int) -> torch.Tensor:
    """`images` (images, channels, height, width), every pixel the mean of as many as it takes for no side to be longer
    than `most`; what is over is cut."""
    step = -(-max(images.shape[-2:]) // most)
    return torch.nn.functional.avg_pool2d(images, step) if step > 1 else images


def png_text(pixels: torch.Tensor) -> str:
    """`pixels` (height, width, 3) uint8 as a PNG file, in base 64."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels.numpy()).save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")


def png_pixels(text: str) -> torch.Tensor:
    """The pixels that `png_text` wrote; EraseError for anything else, and for more than MOST_SIDE a side."""
    import numpy
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
            if image.mode != "RGB" or max(image.size) > MOST_SIDE:
                raise EraseError(f"a picture is {image.mode} of {image.size[0]} x {image.size[1]} pixels")
            return torch.from_numpy(numpy.array(image))
    except EraseError:
        raise
    except Exception as error:  # damage has as many names as there are chunks of a PNG file
        raise EraseError("a picture is no PNG file in base 64") from error


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
