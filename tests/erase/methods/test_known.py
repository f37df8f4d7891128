"""Methods as data: what each trains on, and that budgets come out equal."""

from __future__ import annotations

from math import inf

import pytest

from graphlab.erase.errors import EraseError
from graphlab.erase.methods.effort import Effort, marks
from graphlab.erase.methods.known import BOUNDARIES, METHODS, boundary_name, method
from graphlab.erase.methods.method import Finetuning, Masking, saliency_config
from graphlab.erase.objective import TermWeights
from tests.erase.evaluation.small import small_base
from tests.erase.methods.named import finetuning

EFFORT = Effort(boundary=-1.0, evaluations=864, batch=4, steps=10)
TERMS = {
    "ant": ("erase", "preserve", "uncond_late", "uncond_early"),
    "ant-paper-a": ("erase", "preserve", "uncond_late", "uncond_early"),
    "esd": ("erase",),
    "esd+uncond": ("erase", "uncond_late"),
    "ant-c": ("erase",),
    "ant-d": ("erase", "uncond_late"),
    "ant-e": ("erase", "preserve"),
    "ant-inverted": ("erase", "preserve", "uncond_late", "uncond_early"),
    "ant-dead": ("erase", "preserve"),
    "ant-student": ("erase", "preserve", "uncond_late", "uncond_early"),
    "salun": ("erase",),
    "ant@-inf": ("erase", "uncond_late"),
    "ant@inf": ("preserve", "uncond_early"),
}


@pytest.mark.parametrize("name", TERMS)
def test_terms_that_are_taught(name: str) -> None:
    assert finetuning(name).taught(small_base(), -1.0, 10) == TERMS[name]


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].trains and name != "ant-fused"])
def test_budgets_are_equal(name: str) -> None:
    base, how = small_base(), finetuning(name)
    made = EFFORT.iterations(how, base) * EFFORT.batch * len(how.taught(base, EFFORT.boundary, EFFORT.steps))
    assert made == EFFORT.evaluations


def test_checkpoints_are_where_training_saves() -> None:
    how = finetuning("ant")
    config = EFFORT.config(how, small_base(), 1e-4, 0)
    assert marks(config.iterations) == (2, 6, 18, 54)
    assert all(mark % config.save_every == 0 for mark in marks(config.iterations))
    assert config.path.boundary == -1.0
    assert config.rate == 1e-4


def test_where_each_reverses() -> None:
    assert {name: finetuning(name).at(-1.0) for name in ("ant", "esd", "ant@2", "ant-c", "salun")} == {
        "ant": -1.0,
        "esd": -inf,
        "ant@2": 2.0,
        "ant-c": -1.0,
        "salun": -inf,
    }
    assert len(BOUNDARIES) == 8
    assert {boundary_name(value) for value in BOUNDARIES} <= set(METHODS)


def test_presets_and_ablations_are_the_published_ones() -> None:
    assert finetuning("ant").weights == TermWeights(1.0, 1.0, 0.5, 0.5)
    assert finetuning("ant-paper-a").weights == TermWeights(1.0, 0.5, 0.5, 1.0)
    assert finetuning("ant-inverted").ablation.inverted_axis
    assert finetuning("ant-dead").ablation.dead_unconditional
    assert finetuning("ant-student").sampler == "student"


def test_masks_are_what_their_names_say() -> None:
    masks = {name: made.how.masking for name, made in METHODS.items() if isinstance(made.how, Finetuning)}
    assert {name: mask.maps for name, mask in masks.items() if mask} == {
        "ant+single": 1,
        "ant+intersection-3": 3,
        "ant+intersection-9": 9,
        "ant+intersection-24": 24,
        "ant+random": 9,
        "ant+bottom": 1,
        "salun": 1,
    }
    salun = METHODS["salun"].how
    assert isinstance(salun, Finetuning)
    assert salun.masking is not None
    config = saliency_config(salun, salun.masking, small_base(), -1.0, 10, 3.0, (0,))
    assert (config.ranking, config.boundary, config.fraction, config.keep) == ("global", -inf, 0.5, "top")
    assert masks["ant+bottom"] == Masking(forms=1, keep="bottom")


@pytest.mark.parametrize("name", ["ants", "unlearn"])
def test_an_unknown_method(name: str) -> None:
    with pytest.raises(EraseError, match="no method is called"):
        method(name)


def test_nothing_is_taught_without_a_level() -> None:
    how = Finetuning(TermWeights(1.0, 0.0, 0.0, 0.0), inf)
    with pytest.raises(EraseError, match="no term is taught"):
        how.taught(small_base(), 0.0, 10)
    with pytest.raises(EraseError, match="no gradient to make a mask of"):
        saliency_config(how, Masking(), small_base(), 0.0, 10, 3.0, (0,))
    with pytest.raises(EraseError, match="4 phrases"):
        Masking(forms=4)
