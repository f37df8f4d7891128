"""Maps at fixed weights: the scores by their formula, whatever the batch, and the weights untouched."""

from __future__ import annotations

import dataclasses
from math import inf
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Ablation, Objective, TermWeights
from graphlab.erase.saliency.building import saliency
from graphlab.erase.saliency.config import SaliencyConfig, Score, Stepping
from graphlab.erase.saliency.gradients import Scores, scores_of, stepping_scores
from graphlab.erase.saliency.ranking import kept
from graphlab.erase.training.model import Model, module_hash
from tests.erase.mixtures import EMPTY, GIVEN, cosine, text
from tests.erase.training.small import ALL, PROMPTS, Student, equal, model, state, unet_model, unet_prompts

SCORES: list[Score] = ["abs_sum", "sum_abs", "sum_square"]


def settings(**changes: Any) -> SaliencyConfig:
    made = {"objective": Objective(ALL), "shape": (1, 1, 2), "seeds": (1, 2), "boundary": 0.0, "steps": 12, "draws": 6}
    return SaliencyConfig(**{**made, **changes})


def scores(config: SaliencyConfig, prompt: torch.Tensor = GIVEN) -> Scores:
    return scores_of(model(), prompt, EMPTY, 5, config)


CROSSED = text(1, 0.02, 0.02, 1)
"""The concept goes with the structure, so its direction, and with it gradients, differ between samples and cancel."""


def samples(config: SaliencyConfig) -> list[dict[str, torch.Tensor]]:
    """The gradient of every sample, from the formula of the erase term alone."""
    base = model()
    denoiser, parameters = base.denoiser, dict(base.module.named_parameters())
    sampler = config.points(base.schedule)
    generator = torch.Generator().manual_seed(5)
    found = []
    for _ in range(config.draws):
        point = sampler.points(sampler.draw(generator), denoiser, GIVEN, EMPTY).late
        assert point is not None
        assert config.boundary <= point.level.log_snr < config.until
        given, empty = (denoiser.noise(point.x, point.level, text) for text in (GIVEN, EMPTY))
        target = (empty - config.objective.eta * (given - empty)).detach()
        loss = ((given - target) ** 2).mean()
        found.append(dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True)))
    return found


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("until", [inf, 3.0], ids=["all", "range"])
def test_scores_are_what_their_formula_says(score: Score, until: float) -> None:
    config = settings(score=score, until=until, objective=Objective(ALL, eta=0.7))
    gradients, made = samples(config), scores(config)
    for name, found in made.items():
        each = torch.stack([gradient[name] for gradient in gradients])
        expected = {"abs_sum": each.sum(0).abs(), "sum_abs": each.abs().sum(0), "sum_square": each.square().sum(0)}
        assert torch.allclose(found, expected[score], rtol=1e-9, atol=1e-12)
        assert found.abs().max() > 0


@pytest.mark.parametrize("ranking", ["tensor", "global"])
@pytest.mark.parametrize("score", SCORES)
def test_the_batch_does_not_change_the_mask(score: Score, ranking: Any) -> None:
    """sum |g| above all: a batch's own gradient, whose samples cancel, would give another."""
    found = [scores(settings(score=score, batch=batch, draws=12), CROSSED) for batch in (1, 4, 12)]
    masks = [kept(item, 0.2, ranking, "top") for item in found]
    for other, mask in zip(found[1:], masks[1:], strict=True):
        assert all(torch.allclose(found[0][name], other[name], rtol=1e-9, atol=1e-13) for name in other)
        assert all(torch.equal(masks[0][name], mask[name]) for name in mask)


def test_the_scores_rank_differently() -> None:
    found = [kept(scores(settings(score=score, draws=12), CROSSED), 0.2, "tensor", "top") for score in SCORES]
    flat = [torch.cat([mask.flatten() for mask in masks.values()]) for masks in found]
    assert int((flat[0] ^ flat[1]).sum()) >= 4
    assert not torch.equal(flat[1], flat[2])


def test_only_the_erase_term_counts_and_the_others_have_no_gradient_there() -> None:
    alone = scores(settings(objective=Objective(TermWeights(1.0, 0.0, 0.0, 0.0))))
    full = scores(settings(objective=Objective(TermWeights(0.3, 1.0, 1.0, 1.0))))
    assert all(torch.equal(alone[name], full[name]) for name in alone)


@pytest.mark.parametrize("stepping", [None, Stepping()], ids=["fixed", "stepping"])
def test_the_weights_stay_and_so_do_modes_flags_and_gradients(stepping: Stepping | None) -> None:
    made = model()
    made.module.train()
    made.module.last.bias.requires_grad_(False)
    made.module.inside.bias.grad = torch.ones(16, dtype=torch.float64)
    before = state(made.module)
    saliency(made, PROMPTS, settings(stepping=stepping, combine="union"))
    assert equal(state(made.module), before)
    assert made.module.training
    assert not made.module.last.bias.requires_grad
    assert made.module.last.weight.requires_grad
    assert made.module.last.weight.grad is None
    assert bool((made.module.inside.bias.grad == 1).all())


def test_a_network_that_writes_into_its_weights_is_found_out() -> None:
    class Writing(Student):
        def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            self.last.bias.data += 1e-12
            return super().forward(x, time, text)

    with pytest.raises(EraseError, match="the network writes into them"):
        saliency(Model(Writing(), cosine(), network_of=lambda module: module), PROMPTS, settings(combine="union"))


def test_a_network_that_is_not_the_module_given_is_found_out() -> None:
    other = model()
    made = dataclasses.replace(model(), network_of=lambda module: other.module.requires_grad_(False))
    with pytest.raises(EraseError, match="no gradient reaches the parameters"):
        saliency(made, PROMPTS, settings())
    assert all(parameter.requires_grad for parameter in made.module.parameters())


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    class Broken(Student):
        def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            return super().forward(x, time, text) + 0 * (self.last.bias[0] - self.last.bias[0].detach()).abs().sqrt()

    with pytest.raises(EraseError, match=r"gradient of last\.bias is not finite"):
        saliency(Model(Broken(), cosine(), network_of=lambda module: module), PROMPTS, settings())


def test_weights_the_network_does_not_use_are_not_kept() -> None:
    class Idle(Student):
        def __init__(self) -> None:
            super().__init__()
            self.idle = torch.nn.Parameter(torch.ones(4))

    made = saliency(Model(Idle(), cosine(), network_of=lambda module: module), PROMPTS, settings(combine="union"))
    assert made.masks.set_entries("idle") == 0
    assert made.masks.set_entries("last.weight") > 0


def test_stepping_starts_where_the_others_stay() -> None:
    """After one gradient nothing has stepped yet, so both agree; after more the model is another one."""
    first = settings(draws=1, stepping=Stepping(0.1))
    more = dataclasses.replace(first, draws=6)
    for config, same in ((first, True), (more, False)):
        made = model()
        before = module_hash(made.module)
        stepped = stepping_scores(made, GIVEN, EMPTY, 5, config, Stepping(0.1))
        assert module_hash(made.module) == before
        fixed = scores(dataclasses.replace(config, stepping=None))
        assert all(torch.allclose(stepped[name], fixed[name], rtol=1e-6) for name in fixed) == same
    still = stepping_scores(model(), GIVEN, EMPTY, 5, more, Stepping(1e-30))
    assert all(torch.allclose(still[name], fixed[name], rtol=1e-6) for name in fixed)


def test_ablations_of_the_objective_need_stepping() -> None:
    inverted = Objective(ALL, ablation=Ablation(inverted_axis=True))
    with pytest.raises(EraseError, match="only with stepping"):
        settings(objective=inverted)
    made = stepping_scores(model(), GIVEN, EMPTY, 5, settings(objective=inverted, stepping=Stepping()), Stepping())
    plain = stepping_scores(model(), GIVEN, EMPTY, 5, settings(stepping=Stepping()), Stepping())
    assert not torch.allclose(made["last.weight"], plain["last.weight"])


def test_gradient_checkpointing_changes_no_mask() -> None:
    found = []
    for switched in (False, True):
        config = settings(
            shape=(1, 8, 8), steps=4, draws=2, gradient_checkpointing=switched, parameters="xattn", seeds=(1,)
        )
        made = unet_model()
        found.append(saliency(made, unet_prompts(), config))
        assert not made.module.is_gradient_checkpointing
    assert all(torch.equal(found[0].masks[key], found[1].masks[key]) for key in found[0].masks)
    assert all(".attn2." in key for key in found[0].masks)
