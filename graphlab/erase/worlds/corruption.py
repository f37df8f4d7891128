"""Images that show nothing, or not one thing: what a judge must abstain from."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from graphlab.erase.worlds.layout import OFFSETS, STEPS, placed, render_marks
from graphlab.erase.worlds.world import Part, World

NOISE = 0.6
"""Standard deviation of the noise that spoils an image."""


@dataclass(frozen=True, slots=True)
class Corrupted:
    """`images` (images, channels, height, width) spoilt in the way of `kind`.

    `labels` (images, attributes) are those of the image before, -1 for the attributes that can no longer be told.
    """

    kind: str
    images: torch.Tensor
    labels: torch.Tensor


def corrupted(world: World, count: int, generator: torch.Generator, part: Part = "train") -> tuple[Corrupted, ...]:
    """`count` images of every kind of corruption, from images of a part.

    Noise; pixels in another order; a flat field; blocks of half the field's quarter; half of two images that differ in
    every attribute. In the layout world also the field without a glyph, and with half of two glyphs: those spoil the
    glyph alone, and blocks and a flat field are left out, because a layout or a palette can still be told in them.
    """
    drawn = world.sample(count, generator, part)
    images, nothing = drawn.images, torch.full_like(drawn.labels, -1)
    noisy = images + NOISE * torch.randn(images.shape, generator=generator)
    found = [Corrupted("noise", noisy, nothing), Corrupted("shuffled", _shuffled(images, generator), nothing)]
    found.append(Corrupted("blend", _blend(world, count, generator, part), nothing))
    if world.name == "layout":
        return (*found, *_of_glyphs(drawn.labels, generator))
    flat = images.mean((-2, -1), keepdim=True).expand_as(images).contiguous()
    return (*found, Corrupted("flat", flat, nothing), Corrupted("blocks", _blocks(images), nothing))


def _shuffled(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    flat = images.flatten(2)
    order = torch.rand(len(images), 1, flat.shape[-1], generator=generator).argsort(-1).expand_as(flat)
    return flat.gather(-1, order).view_as(images)


def _blend(world: World, count: int, generator: torch.Generator, part: Part) -> torch.Tensor:
    """Half of two images each; pairs that agree in an attribute are drawn again."""
    made: list[torch.Tensor] = []
    while sum(map(len, made)) < count:
        first, second = (world.sample(count, generator, part) for _ in range(2))
        differ = (first.labels != second.labels).all(1)
        made.append(((first.images + second.images) / 2)[differ])
    return torch.cat(made)[:count]


def _blocks(images: torch.Tensor) -> torch.Tensor:
    size = images.shape[-1] // 4
    small = torch.nn.functional.avg_pool2d(images, 2 * size)
    return small.repeat_interleave(2 * size, -1).repeat_interleave(2 * size, -2)


def _of_glyphs(labels: torch.Tensor, generator: torch.Generator) -> tuple[Corrupted, ...]:
    count, glyphs = len(labels), len(placed())
    steps = torch.randint(len(STEPS), (count,), generator=generator)
    offsets = torch.randint(len(OFFSETS), (count,), generator=generator)
    other = (labels[:, 2] + torch.randint(1, glyphs, (count,), generator=generator)) % glyphs
    both = (placed()[labels[:, 2], offsets] + placed()[other, offsets]) / 2
    spoilt = torch.cat([labels[:, :2], torch.full((count, 1), -1)], 1)
    none = render_marks(labels, torch.zeros_like(both), steps)
    two = render_marks(labels, both, steps)
    return Corrupted("no glyph", none, spoilt), Corrupted("two glyphs", two, spoilt)
