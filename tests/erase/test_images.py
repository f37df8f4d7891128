"""Images of prompts, pair by pair."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.images import Sampling, draw, seeded_noise
from tests.erase.mixtures import EMPTY, GIVEN, exact, text

HOW = Sampling((1, 1, 2), steps=20, guidance=1.5, together=4)


def test_the_noise_of_a_seed_is_its_own() -> None:
    assert torch.equal(seeded_noise([3, 5], (2, 2))[1], seeded_noise([5], (2, 2))[0])
    with pytest.raises(EraseError, match="no seed"):
        seeded_noise([], (1,))


def test_images_do_not_depend_on_what_is_drawn_beside_them() -> None:
    seeds = range(10)
    whole = draw(exact(), GIVEN, EMPTY, seeds, HOW)
    assert whole.shape == (10, 1, 1, 2)
    assert torch.allclose(draw(exact(), GIVEN, EMPTY, [7], HOW)[0], whole[7])
    alone = draw(exact(), GIVEN, EMPTY, seeds, dataclasses.replace(HOW, together=64))
    assert torch.allclose(alone, whole)


def test_every_seed_has_its_prompt() -> None:
    texts = torch.cat([text(1, 1e-9, 1e-9, 1e-9), text(1e-9, 1e-9, 1e-9, 1)])
    made = draw(exact(), texts, EMPTY, [1, 1], HOW)
    assert (made[0] < 0).all()
    assert (made[1] > 0).all()
    with pytest.raises(EraseError, match="2 prompts for 3 seeds"):
        draw(exact(), texts, EMPTY, [1, 2, 3], HOW)


def test_negative_prompting_leads_away_from_the_concept() -> None:
    strong = dataclasses.replace(HOW, guidance=2.0)
    made = [draw(exact(), EMPTY, away, range(200), strong) for away in (EMPTY, GIVEN)]
    plain, led = ((images[..., 1] > 0).double().mean() for images in made)
    assert led < plain - 0.2
