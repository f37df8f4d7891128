"""The trajectory-aware objective: reverse a concept late on the path, keep everything early and without a prompt.

Four terms, each the mean over all elements of a squared difference of noise; targets come from the frozen teacher.
delta* = eps*(x, concept) - eps*(x, empty).

| term | point | student | target |
|---|---|---|---|
| erase | late | eps(concept) | eps*(empty) - eta delta* |
| preserve | early | eps(concept) | eps*(concept), or eps*(empty) + eta delta* |
| uncond_late | late | eps(empty) | eps*(empty) |
| uncond_early | early | eps(empty) | eps*(empty) |

The guided form compares, in the terms of the concept, predictions combined by a guidance w:
eps(empty) + w (eps(concept) - eps(empty)) with eps*(empty) -+ eta w delta*. It is a form of its own and not a factor:
its gradient reaches the student's unconditional prediction too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.trajectory import Point

Form = Literal["plain", "guided"]
TermName = Literal["erase", "preserve", "uncond_late", "uncond_early"]


@dataclass(frozen=True, slots=True)
class TermWeights:
    """What each term counts; they are independent, and a term of weight 0 is not worked out."""

    erase: float
    preserve: float
    uncond_early: float
    uncond_late: float

    def __post_init__(self) -> None:
        if any(value < 0 for value in (self.erase, self.preserve, self.uncond_early, self.uncond_late)):
            raise EraseError("a term counts 0 or more")


PRESETS: Mapping[str, Mapping[str, TermWeights]] = {
    "paper-a": {
        "nsfw": TermWeights(erase=1.0, preserve=0.5, uncond_early=0.5, uncond_late=1.0),
        "celebrity": TermWeights(erase=0.4, preserve=0.2, uncond_early=0.5, uncond_late=1.0),
        "art": TermWeights(erase=0.4, preserve=0.2, uncond_early=0.5, uncond_late=1.0),
    },
    "paper-b": {
        "nsfw": TermWeights(erase=1.0, preserve=1.0, uncond_early=0.5, uncond_late=0.5),
        "celebrity": TermWeights(erase=1.0, preserve=0.4, uncond_early=0.2, uncond_late=0.5),
        "art": TermWeights(erase=1.0, preserve=0.4, uncond_early=0.2, uncond_late=0.5),
    },
}
"""{reading: {task: weights}}: the published table names its weights, not the terms; two readings fit its numbers."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """What the released code does otherwise; everything off is the method.

    `inverted_axis` reverses the concept early and keeps it late. `dead_unconditional` builds the unconditional terms
    without gradient, so that they count in the loss and teach nothing.
    """

    inverted_axis: bool = False
    dead_unconditional: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an iteration: its `name`, `weight`, and `loss`, a scalar without the weight."""

    name: TermName
    weight: float
    loss: torch.Tensor


@dataclass(frozen=True, slots=True)
class Texts:
    """Encoded prompts (batch or 1, tokens, width): of the concept, and of the empty prompt."""

    concept: torch.Tensor
    empty: torch.Tensor


@dataclass(frozen=True)
class Objective:
    """What is minimised. `eta` is the negative guidance, `guidance` that of the guided form.

    `scaled_preserve` makes the preserve target eps*(empty) + eta delta*, which is eps*(concept) for eta = 1 alone.
    """

    weights: TermWeights
    eta: float = 1.0
    form: Form = "plain"
    guidance: float = 7.5
    scaled_preserve: bool = False
    ablation: Ablation = field(default_factory=Ablation)

    def terms(
        self, student: Denoiser, teacher: Denoiser, early: Point | None, late: Point | None, texts: Texts
    ) -> Iterator[Term]:
        """Every term that has a weight and a point, each worked out when it is asked for.

        So a caller that goes backward through one before it asks for the next holds one graph at a time.
        """
        if self.ablation.inverted_axis:
            early, late = late, early
        if late is not None and (self.weights.erase or self.weights.uncond_late):
            yield from self._at(student, self._known(teacher, late, texts), "late", texts)
        if early is not None and (self.weights.preserve or self.weights.uncond_early):
            yield from self._at(student, self._known(teacher, early, texts), "early", texts)

    def loss(
        self, student: Denoiser, teacher: Denoiser, early: Point | None, late: Point | None, texts: Texts
    ) -> torch.Tensor:
        """The weighted sum of the terms, as one graph. EraseError where no term has a weight and a point."""
        terms = [term.weight * term.loss for term in self.terms(student, teacher, early, late, texts)]
        if not terms:
            raise EraseError("no term has a weight and a point to be worked out at")
        return torch.stack(terms).sum()

    @torch.no_grad()
    def _known(self, teacher: Denoiser, point: Point, texts: Texts) -> _Known:
        return _Known(
            point,
            teacher.noise(point.x, point.level, texts.concept),
            teacher.noise(point.x, point.level, texts.empty),
        )

    def _at(self, student: Denoiser, known: _Known, where: Literal["early", "late"], texts: Texts) -> Iterator[Term]:
        named: tuple[TermName, TermName] = ("erase", "uncond_late") if where == "late" else ("preserve", "uncond_early")
        concept, empty = (getattr(self.weights, name) for name in named)
        if concept:
            made = self._of_concept(student, known.point, texts)
            yield Term(named[0], concept, torch.mean((made - self._target(known, named[0])) ** 2))
        if empty:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.ablation.dead_unconditional):
                made = student.noise(known.point.x, known.point.level, texts.empty)
                loss = torch.mean((made - known.empty) ** 2)
            yield Term(named[1], empty, loss)

    def _of_concept(self, student: Denoiser, point: Point, texts: Texts) -> torch.Tensor:
        if self.form == "plain":
            return student.noise(point.x, point.level, texts.concept)
        without = student.noise(point.x, point.level, texts.empty)
        return without + self.guidance * (student.noise(point.x, point.level, texts.concept) - without)

    def _target(self, known: _Known, name: TermName) -> torch.Tensor:
        reach = self.guidance if self.form == "guided" else 1.0
        delta = known.concept - known.empty
        if name == "erase":
            return known.empty - self.eta * reach * delta
        if self.form == "plain" and not self.scaled_preserve:
            return known.concept  # to the last bit: at the base the term is 0
        return known.empty + (self.eta if self.scaled_preserve else 1.0) * reach * delta


@dataclass(frozen=True, slots=True)
class _Known:
    """What the teacher says at a point: noise under the concept, and under the empty prompt."""

    point: Point
    concept: torch.Tensor
    empty: torch.Tensor
