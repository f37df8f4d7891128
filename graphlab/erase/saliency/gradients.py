"""Maps of scores: how much each entry of a weight has to do with the concept, for one prompt and seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import TermWeights, Texts
from graphlab.erase.saliency.config import SaliencyConfig, Score, Stepping
from graphlab.erase.training.model import Model
from graphlab.erase.training.parameters import select
from graphlab.erase.trajectory import Point

ERASE_ALONE = TermWeights(erase=1.0, preserve=0.0, uncond_early=0.0, uncond_late=0.0)

Scores = dict[str, torch.Tensor]
"""{key of a parameter: scores of its shape, 0 or more}."""


class ScoreSum:
    """The scores of gradients given one after the other: memory of one map."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], score: Score) -> None:
        self._score = score
        self._sums = {
            name: torch.zeros_like(value, dtype=torch.promote_types(value.dtype, torch.float32), requires_grad=False)
            for name, value in parameters.items()
        }

    def add(self, gradients: Sequence[torch.Tensor | None]) -> None:
        """Adds the gradient of one sample, or, for |sum g| alone, of several; None where a parameter is not used."""
        for total, gradient in zip(self._sums.values(), gradients, strict=True):
            if gradient is None:
                continue
            exact = gradient.to(total.dtype)
            if self._score == "sum_square":
                total.addcmul_(exact, exact)
            else:
                total.add_(exact.abs() if self._score == "sum_abs" else exact)

    def scores(self) -> Scores:
        """The scores so far; EraseError where one is not finite."""
        for name, total in self._sums.items():
            if not bool(torch.isfinite(total).all()):
                raise EraseError(f"the gradient of {name} is not finite")
        return {name: total.abs_() for name, total in self._sums.items()}


def scores_of(model: Model, text: torch.Tensor, empty: torch.Tensor, seed: int, config: SaliencyConfig) -> Scores:
    """The map of one prompt `text` (1, tokens, width) and `seed`, at the weights of `model`, which stay as they are.

    At these weights the model is its own teacher, and of the objective only the erase term has a gradient. The
    parameters have to want gradients.
    """
    parameters = select(model.module, config.parameters)
    sums = ScoreSum(parameters, config.score)
    objective = replace(config.objective, weights=ERASE_ALONE)
    denoiser = model.denoiser
    for point in _points(model, text, empty, seed, config):
        loss = objective.loss(denoiser, denoiser, None, point, Texts(text, empty))
        sums.add(_gradients(len(point.x) * loss, parameters))
    return sums.scores()


def stepping_scores(
    model: Model, text: torch.Tensor, empty: torch.Tensor, seed: int, config: SaliencyConfig, how: Stepping
) -> Scores:
    """The map as released code makes it: of the whole objective, with a step after every gradient, points being drawn
    on the paths of what the steps have left of the model. All this happens to a copy."""
    student = model.copied()
    parameters = select(student.module, config.parameters)
    sums = ScoreSum(parameters, config.score)
    optimizer = torch.optim.Adam(parameters.values(), lr=how.rate)
    sampler = config.points(model.schedule)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(config.draws):
        drawn = sampler.points(sampler.draw(generator), student.denoiser, text, empty)
        loss = config.objective.loss(student.denoiser, model.denoiser, drawn.early, drawn.late, Texts(text, empty))
        gradients = _gradients(loss, parameters)
        sums.add(gradients)
        for parameter, gradient in zip(parameters.values(), gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
    return sums.scores()


def _gradients(loss: torch.Tensor, parameters: Mapping[str, nn.Parameter]) -> tuple[torch.Tensor | None, ...]:
    if not loss.requires_grad:
        raise EraseError(
            "no gradient reaches the parameters", hint="network_of has to call the module that it is given"
        )
    return torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)


def _points(
    model: Model, text: torch.Tensor, empty: torch.Tensor, seed: int, config: SaliencyConfig
) -> Iterator[Point]:
    """The points of a map, `config.batch` followed together; one sample each, unless a sum of gradients is all that
    counts, where samples at one level go together."""
    sampler = config.points(model.schedule)
    generator = torch.Generator().manual_seed(seed)
    draws = [sampler.draw(generator) for _ in range(config.draws)]
    for start in range(0, len(draws), config.batch):
        points = sampler.late_points(draws[start : start + config.batch], model.denoiser, text, empty)
        if config.score != "abs_sum":
            yield from points
            continue
        for level in dict.fromkeys(point.level for point in points):
            yield Point(torch.cat([point.x for point in points if point.level == level]), level)
