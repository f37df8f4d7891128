"""What a step of training is made of: images, their prompts, noise and levels, all drawn from the seed and the step."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from benchmarks.erasure.training_state import Training
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.prompts import language_of
from graphlab.erase.worlds.schedules import Levels, training_levels
from graphlab.erase.worlds.world import Labelled, World

ALL_NAMED = 0.6
"""Share of prompts that name every attribute; in the others each is named or not, as a coin falls."""
STEPS_PER_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class Batch:
    """`images` (batch, channels, height, width), token `ids` (batch, tokens), `noise` like the images, `levels`.

    `named` (batch, attributes) is what the prompts say: a label, or the number of classes where they are silent.
    """

    images: torch.Tensor
    ids: torch.Tensor
    named: torch.Tensor
    noise: torch.Tensor
    levels: Levels


def batch_of(base: Base, how: Training, step: int) -> Batch:
    """The batch of a step. It depends on the settings and the step alone, so a resumed training sees the same."""
    generator = torch.Generator().manual_seed(how.seed * STEPS_PER_SEED + step)
    drawn = _shown(base.world, how, generator)
    prompts, named = prompts_of(base, drawn.labels, generator, how.dropped)
    noise = torch.randn(drawn.images.shape, generator=generator)
    levels = training_levels(how.kind, how.batch, generator)
    ids = torch.tensor([_ids(base.world.name, prompt) for prompt in prompts])
    return Batch(drawn.images, ids, named, noise, levels)


def prompts_of(
    base: Base, labels: torch.Tensor, generator: torch.Generator, dropped: float
) -> tuple[list[str], torch.Tensor]:
    """Prompts of images with `labels` (images, attributes), a form drawn for each attribute that is named.

    Beside them what they name (images, attributes): the label, or the number of classes for what is left out.
    """
    forms = base.language.forms
    drawn = torch.rand(len(labels), 2 + 2 * len(forms), generator=generator).tolist()
    said = torch.tensor([[len(attribute.classes) for attribute in base.world.attributes]]).repeat(len(labels), 1)
    made = []
    for place, (row, (empty, everything, *rest)) in enumerate(zip(labels.tolist(), drawn, strict=True)):
        named = {}
        for index, attribute in enumerate(base.world.attributes):
            shown, form = rest[2 * index], rest[2 * index + 1]
            if empty >= dropped and (len(forms) == 1 or everything < ALL_NAMED or shown < 0.5):
                named[attribute.name] = (row[index], int(form * forms[attribute.name]))
                said[place, index] = row[index]
        made.append(base.language.prompt(named))
    return made, said


@functools.cache
def _ids(world: str, prompt: str) -> tuple[int, ...]:
    """Token ids of a prompt; a world has few thousand prompts, and each is met many times."""
    return tuple(language_of(world_of(world)).encode([prompt])[0].tolist())


def _shown(world: World, how: Training, generator: torch.Generator) -> Labelled:
    """Images of the training part; those of the concept left out are drawn again."""
    drawn = world.sample(how.batch, generator)
    while how.without is not None and (drawn.labels[:, -1] == how.without).any():
        again = drawn.labels[:, -1] == how.without
        other = world.sample(int(again.sum()), generator)
        drawn.images[again], drawn.labels[again] = other.images, other.labels
    return drawn
