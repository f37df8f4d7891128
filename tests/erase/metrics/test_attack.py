"""Attacks on models whose secrets are known."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.attack import Learning, denoising_loss, invert, relearn
from tests.erase.mixtures import EMPTY, GIVEN, exact, mixture


class Worded(nn.Module):
    """The exact network under softmax(text @ words): four tokens of width 3 become weights of the components."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = exact().network

    def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.exact(x, time, torch.softmax(text.mean(1, keepdim=True), -1))


class Scaled(nn.Module):
    """Draws nothing of its prompt until `gate`, a weight of 0, is learnt to be 1."""

    def __init__(self) -> None:
        super().__init__()
        self.exact = exact().network
        self.gate = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        blind = self.exact(x, time, EMPTY.expand(len(x), 1, 4))
        return blind + self.gate * (self.exact(x, time, text) - blind)


def concept(count: int = 20) -> torch.Tensor:
    """Images of the last component: positive structure and concept."""
    drawn = torch.randn(count, 1, 1, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return mixture().means[3] + 0.05 * drawn


def with_network(network: nn.Module) -> Denoiser:
    return dataclasses.replace(exact(), network=network)


def test_an_inversion_finds_the_words_of_the_concept() -> None:
    found = invert(with_network(Worded()), concept(), (2, 4), Learning(60, 0.3), restarts=3)
    assert found.embedding.shape == (1, 2, 4)
    weights = torch.softmax(found.embedding.mean(1), -1)[0]
    assert int(weights.argmax()) == 3
    assert weights[3] > 0.8
    assert found.loss == min(found.losses)
    assert len(found.losses) == 3
    with pytest.raises(EraseError, match="restart"):
        invert(with_network(Worded()), concept(), (2, 4), Learning(0, 0.3))


def test_relearning_counts_the_steps() -> None:
    network = Scaled()
    pure = torch.tensor([1e-6, 1e-6, 1e-6, 1.0], dtype=torch.float64)[None, None]
    steps, curve = relearn(
        with_network(network), [network.gate], concept(), pure, Learning(40, 0.05), network.gate.item, every=4
    )
    assert steps is not None
    assert steps % 4 == 0
    assert curve[0] == (0, 0.0)
    assert curve[-1][0] == steps
    assert curve[-1][1] >= 0.5 > curve[-2][1]
    never, curve = relearn(
        with_network(network), [network.gate], concept(), pure, Learning(3, 0.0), lambda: 0.0, every=2
    )
    assert never is None
    assert [step for step, _ in curve] == [0, 2, 3]
    with pytest.raises(EraseError, match="nothing to train"):
        relearn(with_network(network), [], concept(), pure, Learning(1, 0.1), lambda: 0.0)


def test_the_exact_model_has_the_least_loss() -> None:
    how = Learning(1, 0.0, batch=4000)
    losses = [
        float(denoising_loss(exact(), concept(4000), text, how, torch.Generator().manual_seed(1)))
        for text in (torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)[None, None], GIVEN, EMPTY)
    ]
    assert losses == sorted(losses)
    assert 0 < losses[0] < 1
