"""Configurations: strict to read, the same when read back."""

from __future__ import annotations

import dataclasses
import json
from math import inf
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import FlowSchedule
from graphlab.erase.objective import Ablation, Objective, TermWeights
from graphlab.erase.training.config import LoraConfig, PathConfig, TrainingConfig, config_mapping, read_config

GIVEN: dict[str, Any] = {
    "objective": {"weights": {"erase": 1, "preserve": 0.5, "uncond_early": 0, "uncond_late": 0}, "eta": 2},
    "path": {"shape": [3, 8, 8], "boundary": "-inf", "steps": 25},
    "optimizer": "adamw",
    "lora": {"rank": 4},
}


def changed(where: str, value: Any) -> dict[str, Any]:
    """GIVEN with the value at "a.b" set, or taken away where it is None."""
    made = json.loads(json.dumps(GIVEN))
    inner = made
    *way, last = where.split(".")
    for name in way:
        inner = inner[name]
    inner[last] = value
    return made


def test_a_mapping_makes_the_configuration_it_says() -> None:
    assert read_config(GIVEN) == TrainingConfig(
        objective=Objective(TermWeights(1.0, 0.5, 0.0, 0.0), eta=2.0),
        path=PathConfig((3, 8, 8), -inf, steps=25),
        optimizer="adamw",
        lora=LoraConfig(4),
    )


def test_a_configuration_comes_back_from_json() -> None:
    made = dataclasses.replace(read_config(GIVEN), clip=1.0, weight_decay=None, rate=3e-5)
    made = dataclasses.replace(made, objective=dataclasses.replace(made.objective, ablation=Ablation(True)))
    text = json.dumps(config_mapping(made), allow_nan=False)
    assert read_config(json.loads(text)) == made


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [
        ("optimiser", "adam", "optimiser is not known.*optimizer"),
        ("path.step", 3, "path.step is not known.*steps"),
        ("objective.weights.erased", 1.0, "objective.weights.erased is not known"),
        ("optimizer", "lion", "optimizer is 'lion'.*adam"),
        ("iterations", 2.5, "iterations is 2.5, expected int"),
        ("iterations", True, "iterations is True, expected int"),
        ("rate", "fast", "rate is 'fast', expected float"),
        ("rate", float("nan"), "rate is no number"),
        ("rate", 0, "rate is 0.0"),
        ("rate", "inf", "rate is inf"),
        ("clip", -1, "clip is -1.0"),
        ("gradient_checkpointing", 1, "expected bool"),
        ("path.shape", [3, 8], "path.shape has 2 items, expected 3"),
        ("path.shape", 3, "expected a list"),
        ("path.steps", 0, "steps is 0"),
        ("path.pool", -1, "pool is -1"),
        ("path", 3, "expected keys"),
        ("lora.rank", 0, "rank is 0"),
        ("parameters", "xatn", "no parameters are called 'xatn'"),
        ("parameters", "regex:(", "cannot be read"),
        ("precision", "bf16", "needs the backend accelerate"),
        ("save_every", 0, "save_every is 0"),
        ("objective.weights.erase", -1, "0 or more"),
        ("rate", 10**400, "rate is beyond"),
        ("path.batch", 10**30, "path.batch is beyond"),
        ("seed", -1, "seed is -1"),
        ("seed", 2**63, "seed is beyond"),
        ("momentum", -0.5, "momentum is -0.5"),
        ("weight_decay", -0.5, "weight_decay is -0.5"),
        ("weight_decay", "inf", "weight_decay is inf"),
        ("lora.alpha", 0, "alpha is 0.0"),
        ("lora.alpha", "inf", "alpha is inf"),
        ("path.until", "-inf", "no level lies between"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) and " " not in value else "",
)
def test_what_is_wrong_is_refused_by_name(where: str, value: Any, match: str) -> None:
    with pytest.raises(EraseError, match=match):
        read_config(changed(where, value))


def test_what_is_missing_is_named() -> None:
    with pytest.raises(EraseError, match=r"objective\.weights\.preserve is missing"):
        read_config({**GIVEN, "objective": {"weights": {"erase": 1, "uncond_early": 0, "uncond_late": 0}}})
    with pytest.raises(EraseError, match="path is missing"):
        read_config({"objective": GIVEN["objective"]})


def test_a_pool_takes_no_memory() -> None:
    sampler = dataclasses.replace(read_config(GIVEN).path, pool=10**12).points(FlowSchedule())
    assert 0 <= sampler.draw(torch.Generator().manual_seed(0)).seed < 10**12


def test_points_are_those_of_the_schedule() -> None:
    sampler = dataclasses.replace(read_config(GIVEN).path, pool=3, batch=2, boundary=0.5).points(FlowSchedule())
    assert sampler.shape == (2, 3, 8, 8)
    assert list(sampler.pool) == [0, 1, 2]
    assert sampler.levels == FlowSchedule().levels(25)
    assert sampler.boundary.log_snr == 0.5
