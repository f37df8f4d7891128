"""What a step of training is made of: images, their prompts, noise and levels, all drawn from the seed and the step."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.erasure.training_state import Training
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.prompts import EMPTY
from graphlab.erase.worlds.schedules import Levels, training_levels
from graphlab.erase.worlds.world import Labelled, World

ALL_NAMED = 0.6
"""Share of prompts that name every attribute; in the others each is named or not, as a coin falls."""
STEPS_PER_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class Batch:
    """`images` (batch, channels, height, width), token `ids` (batch, tokens), `noise` like the images, `levels`."""

    images: torch.Tensor
    ids: torch.Tensor
    noise: torch.Tensor
    levels: Levels


def batch_of(base: Base, how: Training, step: int) -> Batch:
    """The batch of a step. It depends on the settings and the step alone, so a resumed training sees the same."""
    generator = torch.Generator().manual_seed(how.seed * STEPS_PER_SEED + step)
    drawn = _shown(base.world, how, generator)
    ids = base.language.encode(prompts_of(base, drawn.labels, generator, how.dropped))
    noise = torch.randn(drawn.images.shape, generator=generator)
    return Batch(drawn.images, ids, noise, training_levels(how.kind, how.batch, generator))


def prompts_of(base: Base, labels: torch.Tensor, generator: torch.Generator, dropped: float) -> list[str]:
    """Prompts of images with `labels` (images, attributes): a form drawn for each attribute that is named."""
    forms = base.language.forms
    drawn = torch.rand(len(labels), 2 + 2 * len(forms), generator=generator).tolist()
    made = []
    for row, (empty, everything, *rest) in zip(labels.tolist(), drawn, strict=True):
        named = {}
        for index, attribute in enumerate(base.world.attributes):
            shown, form = rest[2 * index], rest[2 * index + 1]
            if len(forms) == 1 or everything < ALL_NAMED or shown < 0.5:
                named[attribute.name] = (row[index], int(form * forms[attribute.name]))
        made.append(EMPTY if empty < dropped else base.language.prompt(named))
    return made


def _shown(world: World, how: Training, generator: torch.Generator) -> Labelled:
    """Images of the training part; those of the concept left out are drawn again."""
    drawn = world.sample(how.batch, generator)
    while how.without is not None and (drawn.labels[:, -1] == how.without).any():
        again = drawn.labels[:, -1] == how.without
        other = world.sample(int(again.sum()), generator)
        drawn.images[again], drawn.labels[again] = other.images, other.labels
    return drawn
