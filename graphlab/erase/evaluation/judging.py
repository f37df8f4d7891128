"""What a judge says of the images of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.plan import Group, Plan, Prompted
from graphlab.erase.evaluation.result import Judged
from graphlab.erase.metrics.accuracy import ABSTAINED, Share, recognised, replacements, valid
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.world import World

NONE = "none"
"""What is drawn where the judge abstains."""


def judged(judge: Judge, world: World, asked: Plan, images: Mapping[Group, torch.Tensor]) -> Judged:
    """What `judge` says of `images` {group: (images, channels, height, width)} of the prompts `asked`."""
    if judge.world.name != world.name:
        raise EraseError(f"the judge {judge.name!r} knows the world {judge.world.name!r}, and not {world.name!r}")
    told = {group: judge.labels(images[group]) for group in asked}
    concept = {group: labels[:, -1] for group, labels in told.items() if group != "kept"}
    classes = world.attributes[-1].classes
    return Judged(
        judge=judge.name,
        erased={group: recognised(labels, asked[group].labels[:, -1]) for group, labels in concept.items()},
        valid={group: valid(labels) for group, labels in concept.items()},
        replaced={group: _replaced(labels, classes) for group, labels in concept.items()},
        kept=_by_class(told["kept"][:, -1], asked["kept"], classes),
        others=_others(world, asked, told),
    )


def _replaced(labels: torch.Tensor, classes: Sequence[str]) -> dict[str, Share]:
    names = {ABSTAINED: NONE, **dict(enumerate(classes))}
    shares = replacements(labels)
    return {names[label]: Share(round(share * len(labels)), len(labels)) for label, share in shares.items()}


def _by_class(told: torch.Tensor, asked: Prompted, classes: Sequence[str]) -> dict[str, Share]:
    wanted = asked.labels[:, -1]
    return {classes[label]: recognised(told[wanted == label], label) for label in sorted(set(wanted.tolist()))}


def _others(world: World, asked: Plan, told: Mapping[Group, torch.Tensor]) -> dict[str, dict[Group, Share]]:
    return {
        attribute.name: {
            group: recognised(told[group][:, index], part.labels[:, index]) for group, part in asked.items()
        }
        for index, attribute in enumerate(world.attributes[:-1])
    }
