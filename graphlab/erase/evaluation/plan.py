"""What is drawn: prompts of the concept in phrases that erasing was shown and was not, and of every class kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.subject import Subject
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.phrases import TRAINED_FORMS, UNSEEN_FORMS

Group = Literal["trained", "unseen", "kept"]
SEEDS_PER_GROUP = 1_000_000
"""Seeds of one group do not reach those of the next."""


@dataclass(frozen=True, slots=True)
class Prompted:
    """`prompts`, the `labels` (prompts, attributes) they ask for, and a seed each."""

    prompts: tuple[str, ...]
    labels: torch.Tensor
    seeds: tuple[int, ...]


Plan = Mapping[Group, Prompted]
"""What is drawn of each group. One without images is not in it."""


def plan(base: Base, concept: str, config: EvaluationConfig, also: Sequence[str] = ()) -> Plan:
    """The prompts of an evaluation; `also` are other concepts that were erased and so are not among those kept.

    Every attribute of the world is named, the others in combinations that come in turn, in an order of their own.
    Forms come in turn too, of classes that are kept all of them. EraseError for an unknown concept, and where nothing
    is kept.
    """
    last = base.world.attributes[-1]
    erased = last.label(concept)
    gone = {erased, *(last.label(name) for name in also)}
    kept = [label for label in range(len(last.classes)) if label not in gone]
    if not kept:
        raise EraseError("every class is erased: there is none to be kept")
    every = (*TRAINED_FORMS, *UNSEEN_FORMS)
    found: dict[Group, Prompted] = {
        "trained": _prompted(base, [erased], TRAINED_FORMS, config.images, config.seed),
        "kept": _prompted(base, kept, every, config.kept_images, config.seed + 2 * SEEDS_PER_GROUP),
    }
    if config.unseen_images:
        seed = config.seed + SEEDS_PER_GROUP
        found["unseen"] = _prompted(base, [erased], UNSEEN_FORMS, config.unseen_images, seed)
    return found


def draw_plan(subject: Subject, asked: Plan, base: Base, config: EvaluationConfig) -> dict[Group, torch.Tensor]:
    """Images (prompts, channels, height, width) of each group, as `subject` draws them."""
    sampling = config.sampling(base.world.shape)
    return {group: subject.draw(part.prompts, part.seeds, sampling) for group, part in asked.items()}


def _prompted(base: Base, classes: Sequence[int], forms: Sequence[int], each: int, seed: int) -> Prompted:
    """`each` prompts of every one of `classes`."""
    rows, prompts = [], []
    for label in classes:
        combinations = _combinations(base, label)
        for index in range(each):
            row = combinations[index % len(combinations)]
            rows.append(row)
            # Both come in turn; a step more each time they are in phase, so that every form meets every combination.
            form = index + index // math.lcm(len(combinations), len(forms))
            prompts.append(_prompt(base, row, forms[form % len(forms)]))
    return Prompted(tuple(prompts), torch.tensor(rows), tuple(range(seed, seed + len(prompts))))


def _combinations(base: Base, label: int) -> list[list[int]]:
    """Labels of the images there are of a class, seen in training or not, in an order that the class decides."""
    rows = base.world.combinations("calibration")
    rows = rows[rows[:, -1] == label]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(label))
    found: list[list[int]] = rows[order].tolist()
    return found


def _prompt(base: Base, row: Sequence[int], form: int) -> str:
    *others, last = base.world.attributes
    named = {attribute.name: (row[index], 0) for index, attribute in enumerate(others)}
    return base.language.prompt({**named, last.name: (row[-1], form)})
