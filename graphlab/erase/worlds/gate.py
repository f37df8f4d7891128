"""The gate: nothing is erased from a base that does not draw every attribute right, by every judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.images import Sampling, draw
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.world import Part

GUIDANCE, STEPS = 2.0, 25
"""How the study draws images."""
LEAST_OF_ATTRIBUTE, LEAST_OF_FORM = 0.97, 0.95
"""Shares that must be drawn right: of an attribute over all its forms, and of each form."""
SEED_OF_PROMPTS = 20_000


@dataclass(frozen=True, slots=True)
class Cell:
    """Images of one kind of prompt, judged: `right` of them show `attribute` as it was asked for.

    `prompts` is "all" where every attribute was named and "alone" where the concept was; `form` is the concept's.
    """

    prompts: str
    part: Part
    form: int
    attribute: str
    judge: str
    right: Share

    @property
    def described(self) -> str:
        """All but the form and the share, in words."""
        return f"{self.attribute} ({self.prompts} named, {self.part}) by {self.judge}"


@dataclass(frozen=True, slots=True)
class Gate:
    """Every cell that was measured."""

    cells: tuple[Cell, ...]

    def failures(self) -> tuple[str, ...]:
        """What is below the gate, in words; empty for a base that passes."""
        found = [
            f"{cell.described}, form {cell.form}: {cell.right.value:.1%} < {LEAST_OF_FORM:.0%}"
            for cell in self.cells
            if cell.right.value < LEAST_OF_FORM
        ]
        for name, share in self.attributes().items():
            if share.value < LEAST_OF_ATTRIBUTE:
                found.append(f"{name}, all forms: {share.value:.1%} < {LEAST_OF_ATTRIBUTE:.0%}")
        return tuple(found)

    def attributes(self) -> dict[str, Share]:
        """{attribute, prompts, part and judge: the share over all forms}."""
        found: dict[str, Share] = {}
        for cell in self.cells:
            before = found.get(cell.described, Share(0, 0))
            found[cell.described] = Share(before.hits + cell.right.hits, before.count + cell.right.count)
        return found


def gate(
    base: Base,
    judges: Sequence[Judge],
    images: int,
    *,
    tell: Callable[[str], None] = lambda line: None,
) -> Gate:
    """What `judges` say of `images` images for each form of the concept, of every kind of prompt there is.

    With several attributes: all named in combinations that training showed, all named in those it never did, and the
    concept alone. The classes asked for come in turn, so that each is asked for as often; seeds are 0, 1, ....
    EraseError for judges of another world and for no images.
    """
    if images < 1 or not judges or any(judge.world.name != base.world.name for judge in judges):
        raise EraseError(f"a gate takes images and judges of the world {base.world.name!r}")
    kinds: list[tuple[str, Part]] = [("alone", "train")]
    if len(base.world.attributes) > 1:
        kinds = [("all", "train"), ("all", "held_out"), *kinds]
    cells: list[Cell] = []
    for prompts, part in kinds:
        for form in range(base.language.forms[base.world.attributes[-1].name]):
            tell(f"{prompts} ({part}), form {form}")
            cells += _cells(base, judges, images, prompts, part, form)
    return Gate(tuple(cells))


def _cells(base: Base, judges: Sequence[Judge], images: int, prompts: str, part: Part, form: int) -> list[Cell]:
    labels = _asked(base, images, part, form)
    asked = range(len(base.world.attributes)) if prompts == "all" else [len(base.world.attributes) - 1]
    text = base.encode([_prompt(base, row, form, asked) for row in labels.tolist()])
    sampling = Sampling(base.world.shape, STEPS, GUIDANCE)
    made = draw(base.denoiser(), text, base.empty, range(images), sampling)
    found = []
    for judge in judges:
        told = judge.labels(made)
        for index in asked:
            right = Share(int((told[:, index] == labels[:, index]).sum()), images)
            found.append(Cell(prompts, part, form, base.world.attributes[index].name, judge.name, right))
    return found


def _asked(base: Base, images: int, part: Part, form: int) -> torch.Tensor:
    """Labels (images, attributes) of a part's combinations, each as often as any other, in an order of its own."""
    rows = base.world.combinations(part)
    generator = torch.Generator().manual_seed(SEED_OF_PROMPTS + form)
    rounds = -(-images // len(rows))
    return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(rounds)])[:images]


def _prompt(base: Base, row: Sequence[int], form: int, asked: Sequence[int]) -> str:
    last = len(row) - 1
    names = [attribute.name for attribute in base.world.attributes]
    return base.language.prompt({names[index]: (row[index], form if index == last else 0) for index in asked})
