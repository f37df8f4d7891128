"""Bases that predict v and flow are erased as those that predict epsilon: maps, terms and steps compare noise."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.images import Sampling, draw
from graphlab.erase.noise import FlowSchedule, Level, NoiseSchedule, Parametrisation
from graphlab.erase.objective import Objective, TermWeights, Texts
from graphlab.erase.prediction import noise_of, output_of
from graphlab.erase.saliency.building import saliency
from graphlab.erase.saliency.config import SaliencyConfig
from graphlab.erase.training.config import PathConfig, TrainingConfig
from graphlab.erase.training.loop import train
from graphlab.erase.trajectory import Point
from graphlab.erase.worlds.base import KINDS, Base, BaseConfig, new_base
from tests.erase.training.small import same_bits, state

ALL = TermWeights(1.0, 1.0, 0.5, 0.5)
CONCEPT = ["the digit three", "comes after two"]


def base_of(kind: Parametrisation) -> Base:
    """An untrained base whose cross-attention is strong enough for a text to count."""
    base = new_base(BaseConfig("digits", kind, (8, 16), heads=2), 4)
    with torch.no_grad():
        for name, parameter in base.unet.named_parameters():
            if "attn2" in name or "conv_out" in name:
                parameter.mul_(4)
    return base


def path(**changes: object) -> PathConfig:
    return PathConfig((1, 8, 8), -0.5, steps=4, guidance=2.0, batch=2, **changes)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("kind", KINDS)
def test_a_base_of_every_kind_is_mapped_and_trained_under_its_mask(kind: Parametrisation) -> None:
    base = base_of(kind)
    settings = SaliencyConfig(Objective(ALL), (1, 8, 8), (0, 1), -0.5, steps=4, guidance=2.0, draws=2, combine="union")
    found = saliency(base.model, base.named(CONCEPT), settings)
    assert found.about["maps"] == 4
    assert all(math.isfinite(score) and score >= 0 for score in found.about["mean_scores"].values())
    student, before = base.copy().model, state(base.unet)
    config = TrainingConfig(Objective(ALL), path(), iterations=3, rate=1e-3, optimizer="adamw")
    done = train(student, base.model, base.named(CONCEPT), config, mask=found.masks)
    first, last = done.history[0], done.history[-1]
    assert first["preserve"] == first["uncond_early"] == first["uncond_late"] == 0
    assert first["erase"] > 0
    assert all(value > 0 for value in last.values())
    after = state(student.module)
    for key, mask in found.masks.items():
        assert bool(same_bits(after[key], before[key])[~mask].all()), key
    assert any(not torch.equal(after[key], before[key]) for key in found.masks)
    erased = Base(base.config, student.module, base.encoder)
    how = Sampling((1, 8, 8), 4, 2.0)
    images = [draw(item.denoiser(), base.encode(CONCEPT), base.empty, [0, 1], how) for item in (base, erased)]
    assert all(bool(torch.isfinite(part).all()) for part in images)
    assert not torch.equal(*images)


class Spoken:
    """A network that predicts epsilon, heard as one that predicts `kind`: the same function of x at the same levels."""

    def __init__(self, inner: Denoiser, schedule: NoiseSchedule, kind: Parametrisation) -> None:
        self.inner, self.schedule, self.kind = inner, schedule, kind

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        level = self.schedule.told(float(time[0]))
        inner = self.inner.schedule.at(level.log_snr)
        scale = inner.alpha / level.alpha  # a flow's x is alpha x0 + sigma eps with alpha + sigma = 1
        eps = self.inner.noise(scale * x, inner, text)
        return output_of(eps, x, level, self.kind)


@pytest.mark.parametrize("kind", ["v_prediction", "flow"])
def test_losses_and_gradients_are_those_of_epsilon(kind: Parametrisation) -> None:
    """One network spoken in two parametrisations has one loss and one gradient at every level; raw outputs differ."""
    base = base_of("epsilon")
    student = base.copy()
    with torch.no_grad():
        for parameter in student.unet.parameters():
            parameter.add_(0.01)
    plain = base.schedule
    schedule: NoiseSchedule = FlowSchedule(1.0, 1000.0) if kind == "flow" else plain
    texts = Texts(base.encode(CONCEPT[:1]), base.empty)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for log_snr in (-3.0, 0.0, 2.0):
        level = plain.at(log_snr)
        told: Level = schedule.at(level.log_snr)
        found = []
        for where, speak, shown in ((level, False, x), (told, True, x * told.alpha / level.alpha)):
            parts = [item.denoiser() for item in (student, base)]
            if speak:
                parts = [Denoiser(Spoken(part, schedule, kind), schedule, kind) for part in parts]
            point = Point(shown, where)
            loss = Objective(ALL).loss(parts[0], parts[1], point, point, texts)
            gradients = torch.autograd.grad(loss, list(student.unet.parameters()), allow_unused=True)
            found.append((loss.detach(), [value for value in gradients if value is not None]))
        (one, first), (other, second) = found
        assert float(other) == pytest.approx(float(one), rel=2e-3)
        for wanted, given in zip(first, second, strict=True):
            assert torch.allclose(given, wanted, rtol=2e-2, atol=2e-3 * float(wanted.abs().max()))
    raw = noise_of(torch.ones(1), torch.zeros(1), plain.at(-3.0), "v_prediction")
    assert float(raw) < 0.3  # an error of v counts little as one of noise there: comparing outputs would weigh it more


def test_terms_backward_one_by_one_give_the_gradient_of_their_sum() -> None:
    """So that one graph at a time is in memory, and nothing else changes."""
    base = base_of("epsilon")
    student = base.copy()
    with torch.no_grad():
        for parameter in student.unet.parameters():
            parameter.add_(0.01)
    texts = Texts(base.encode(CONCEPT[:1]), base.empty)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    early, late = (Point(x, base.schedule.at(log_snr)) for log_snr in (-2.0, 1.0))
    for form in ("plain", "guided"):
        objective = dataclasses.replace(Objective(ALL), form=form)
        parameters = list(student.unet.parameters())
        both = objective.loss(student.denoiser(), base.denoiser(), early, late, texts)
        wanted = torch.autograd.grad(both, parameters, allow_unused=True)
        for parameter in parameters:
            parameter.grad = None
        names = []
        for term in objective.terms(student.denoiser(), base.denoiser(), early, late, texts):
            names.append(term.name)
            torch.autograd.backward(term.weight * term.loss)
        assert sorted(names) == ["erase", "preserve", "uncond_early", "uncond_late"]
        for parameter, gradient in zip(parameters, wanted, strict=True):
            assert (parameter.grad is None) == (gradient is None)
            if gradient is not None and parameter.grad is not None:
                scale = float(gradient.abs().max())
                assert torch.allclose(parameter.grad, gradient, rtol=1e-4, atol=1e-6 * max(scale, 1e-6) + 1e-9)
