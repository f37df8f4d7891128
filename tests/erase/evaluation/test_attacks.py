"""Attacks: what is learnt, what is counted, and that the attacked model stays as it is."""

from __future__ import annotations

import json

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.attacks import AttackConfig, attack
from graphlab.erase.metrics.attack import Learning
from graphlab.erase.training.model import module_hash
from tests.erase.evaluation.small import always, small_base

FEW = AttackConfig(
    relearning=Learning(steps=4, rate=1e-3, batch=2),
    every=2,
    measured=3,
    inversion=Learning(steps=2, rate=0.1, batch=2),
    restarts=2,
    images=5,
    steps=2,
)


def test_a_concept_that_never_comes_back_is_attacked_to_the_end() -> None:
    base = small_base()
    before = module_hash(base.unet)
    found = attack(base, "three", always("digits", 4), FEW)
    assert found.relearnt_after is None
    assert found.curve == ((0, 0.0), (2, 0.0), (4, 0.0))
    assert (found.inverted.hits, found.inverted.count) == (0, 5)
    assert len(found.losses) == 2
    assert module_hash(base.unet) == before
    assert json.loads(json.dumps(found.to_dict()))["curve"] == [[0, 0.0], [2, 0.0], [4, 0.0]]


def test_a_concept_that_was_never_gone_takes_no_step() -> None:
    found = attack(small_base(), "three", always("digits", 3), FEW)
    assert found.relearnt_after == 0
    assert found.curve == ((0, 1.0),)
    assert found.inverted.value == 1


def test_an_unknown_concept() -> None:
    with pytest.raises(EraseError, match="no digit"):
        attack(small_base(), "eleven", always("digits", 3), FEW)


def test_a_repeated_text_is_the_text_to_attention() -> None:
    """What drawing under an embedding of another length than prompts have rests on."""
    base = small_base()
    text = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, *base.world.shape, generator=torch.Generator().manual_seed(1))
    level = base.schedule.at(0.0)
    with torch.no_grad():
        once, thrice = (base.denoiser().noise(x, level, part) for part in (text, text.repeat(1, 3, 1)))
    assert torch.allclose(once, thrice, atol=1e-5)
    assert not torch.allclose(once, base.denoiser().noise(x, level, base.empty), atol=1e-5)
