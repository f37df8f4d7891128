"""Real images that what is drawn is held against."""

from __future__ import annotations

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.digits import digits
from graphlab.erase.worlds.world import Labelled, Part, World

SEED = 31


def real(world: World, classes: list[int], count: int, part: Part, seed: int = SEED) -> Labelled:
    """At most `count` real images of the concepts `classes`, the same for the same arguments.

    Of the digits none comes twice, and there are as many as the part holds; in the layout world, whose images are
    drawn, they are `count` draws. EraseError where fewer than two are there.
    """
    generator = torch.Generator().manual_seed(seed)
    if world.name == "digits":
        found = digits(part)
        order = torch.randperm(len(found.labels), generator=generator)
    else:
        found = world.sample(4 * count * len(world.attributes[-1].classes) // len(classes), generator, part)
        order = torch.arange(len(found.labels))
    wanted = order[torch.isin(found.labels[order, -1], torch.tensor(classes))][:count]
    if len(wanted) < 2:
        raise EraseError(f"{len(wanted)} real images of the part {part} show classes {classes}")
    return Labelled(found.images[wanted], found.labels[wanted])


def held_out(world: World, classes: list[int], count: int) -> Labelled:
    """What made images are held against: of the digits, the part held out; of the layout world, all combinations, as
    prompts name them all."""
    return real(world, classes, count, "held_out" if world.name == "digits" else "calibration")


def other_real(world: World, classes: list[int], count: int) -> Labelled:
    """Other real images of the same kind: held against the first, they show what a perfect model would come to."""
    return real(world, classes, count, "train" if world.name == "digits" else "calibration", SEED + 1)
