"""Small images on a terminal: two pixels a character, by half blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from rich.text import Text

BRIGHT = 128
"""From here on (0 to 255) a pixel counts as set where there is no colour."""
_BLOCKS = {(True, True): "\u2588", (True, False): "\u2580", (False, True): "\u2584", (False, False): " "}


def half_blocks(pixels: torch.Tensor, colour: bool) -> list[Text]:
    """Lines of `pixels` (height, width, 3) uint8, a last row without a second being drawn over black.

    With `colour` the upper pixel is the block's colour and the lower one that behind it; without, each is on or off.
    """
    from rich.style import Style
    from rich.text import Text

    values: list[list[list[int]]] = pixels.tolist()
    if len(values) % 2:
        values.append([[0, 0, 0]] * len(values[0]))
    lines = []
    for upper, lower in zip(values[::2], values[1::2], strict=True):
        line = Text()
        for one, other in zip(upper, lower, strict=True):
            if colour:
                line.append("\u2580", Style(color=_rgb(one), bgcolor=_rgb(other)))
            else:
                line.append(_BLOCKS[sum(one) >= 3 * BRIGHT, sum(other) >= 3 * BRIGHT])
        lines.append(line)
    return lines


def draw(out: Any, pixels: torch.Tensor) -> None:
    """Prints `pixels` on a console that can show blocks, as much smaller as it takes to fit; nothing elsewhere."""
    if not out.encoding.lower().startswith("utf"):
        return
    pixels = smaller(pixels, -(-pixels.shape[1] // out.width))
    for line in half_blocks(pixels, colour=out.color_system is not None):
        out.print(line, no_wrap=True, soft_wrap=True)


def smaller(pixels: torch.Tensor, factor: int) -> torch.Tensor:
    """`pixels` (height, width, 3) uint8, the mean of each `factor` x `factor` of them as one; what is over is cut."""
    if factor <= 1:
        return pixels
    height, width = (size // factor for size in pixels.shape[:2])
    blocks = pixels[: height * factor, : width * factor].float().view(height, factor, width, factor, 3)
    return blocks.mean((1, 3)).round().to(pixels.dtype)


def _rgb(pixel: list[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)
