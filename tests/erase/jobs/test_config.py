"""The configuration of all commands: what counts above what, and what is refused."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.config import EraseConfig, erase_config, merged, nested, read_file
from graphlab.erase.jobs.method_values import trained_methods
from graphlab.erase.methods.known import METHODS
from graphlab.erase.methods.method import Finetuning
from graphlab.erase.objective import PRESETS
from graphlab.erase.sources.opening import open_source
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.strict import read


@pytest.fixture(scope="module")
def source(base_path: Path) -> ErasureSource:
    return open_source(str(base_path))


def test_what_is_not_given_comes_from_the_source_and_the_preset(source: ErasureSource) -> None:
    found = erase_config(source)
    assert found.maps.shape == found.training.path.shape == source.shape
    assert found.training.path.batch == 16
    assert found.training.objective.weights == PRESETS["paper-a"]["nsfw"]
    assert found.maps.boundary == found.training.path.boundary == -3.82
    assert found.training.iterations == 250


def test_a_preset_and_its_task_give_weights_boundary_and_iterations(source: ErasureSource) -> None:
    found = erase_config(source, {"preset": "paper-b", "task": "art"}).training
    assert found.objective.weights == PRESETS["paper-b"]["art"]
    assert (found.path.boundary, found.iterations) == (-4.67, 400)


def test_a_method_is_there_for_the_preset(source: ErasureSource) -> None:
    found = erase_config(source, {"method": "esd", "training": {"rate": 1e-3}})
    weights = found.training.objective.weights
    assert (weights.erase, weights.preserve, weights.uncond_early, weights.uncond_late) == (1, 0, 0, 0)
    assert found.training.path.boundary == found.maps.boundary == -inf
    assert (found.training.rate, found.training.iterations) == (1e-3, 250)
    released = erase_config(source, {"method": "ant-inverted"}).training
    assert released.objective.ablation.inverted_axis
    assert released.path.boundary == -3.82
    masked = erase_config(source, {"method": "ant+random"})
    assert (masked.forms, masked.random, masked.maps.seeds) == (3, 0, (0, 1, 2))


@pytest.mark.parametrize("name", trained_methods())
def test_every_method_that_trains_is_a_configuration(name: str, source: ErasureSource) -> None:
    how = METHODS[name].how
    assert isinstance(how, Finetuning)
    assert erase_config(source, {"method": name}).training.objective == how.objective


def test_options_count_above_the_file_and_the_file_above_the_preset(source: ErasureSource, tmp_path: Path) -> None:
    path = tmp_path / "erase.toml"
    path.write_text(
        'concepts = ["three"]\npreset = "paper-b"\n'
        "[maps]\nfraction = 0.1\nuntil = inf\n[maps.objective]\neta = 2\n"
        "[training]\niterations = 7\n[training.path]\nboundary = -1.5\n[training.objective.weights]\nerase = 3\n"
    )
    given = nested({"maps.fraction": 0.2, "training.path.batch": 3, "training.rate": None, "concepts": ["four"]})
    found = erase_config(source, read_file(path), given)
    assert found.concepts == ("four",)
    assert (found.maps.fraction, found.maps.objective.eta, found.maps.until) == (0.2, 2.0, inf)
    assert (found.training.iterations, found.training.path.batch, found.training.rate) == (7, 3, 5e-4)
    assert found.training.path.boundary == -1.5
    assert found.maps.boundary == -3.82
    weights = found.training.objective.weights
    assert (weights.erase, weights.preserve) == (3.0, PRESETS["paper-b"]["nsfw"].preserve)


def test_the_mapping_is_read_back_to_the_same(source: ErasureSource) -> None:
    found = erase_config(source, {"maps": {"until": inf}, "concepts": ["one"]})
    assert read(EraseConfig, json.loads(json.dumps(found.mapping(), allow_nan=False))) == found


def test_tables_are_merged_and_values_replaced() -> None:
    assert merged({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}, {"d": 3}) == {"a": {"b": 1, "c": [2]}, "d": 3}
    assert nested({"a.b.c": 1, "a.d": None, "a.b.e": 2}) == {"a": {"b": {"c": 1, "e": 2}}}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown-table": ({"trainin": {}}, "trainin is not known .*'training'"),
    "unknown-key": ({"training": {"path": {"bach": 1}}}, "training.path.bach is not known .*'batch'"),
    "unknown-map-key": ({"maps": {"sedes": [1]}}, "maps.sedes is not known .*'seeds'"),
    "another-type": ({"training": {"iterations": "many"}}, "training.iterations is 'many', expected int"),
    "another-choice": ({"maps": {"score": "max"}}, "maps.score is 'max' .*abs_sum"),
    "another-preset": ({"preset": "paper-c"}, "preset is 'paper-c' .*paper-"),
    "another-task": ({"task": "arts"}, "task is 'arts' .*did you mean 'art'"),
    "preset-of-another-type": ({"preset": ["paper-a"]}, "preset is .'paper-a'"),
    "unknown-method": ({"method": "and"}, "no method is called 'and' .*'ant"),
    "method-that-trains-nothing": ({"method": "negative-prompt"}, "negative-prompt is no training of weights"),
    "preset-and-method": ({"method": "ant", "preset": "paper-a"}, "a preset or a method"),
    "no-forms": ({"forms": 0}, "forms is 0"),
    "no-fraction": ({"maps": {"fraction": 0.0}}, "fraction is 0.0"),
    "no-table": ({"training": 3}, "training is 3, expected keys"),
    "concepts-as-text": ({"concepts": "three"}, "concepts is 'three', expected a list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str, source: ErasureSource) -> None:
    values, says = REFUSED[name]
    with pytest.raises(EraseError, match=says):
        erase_config(source, values)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = ", "cannot be read"),
        (None, "cannot be read"),
        ("a = 1\na = 2", "a"),
        ("a = " + "[" * 5000 + "]" * 5000, "cannot be read"),
        ("a = " + "9" * 5000, "cannot be read"),
    ],
    ids=["cut", "missing", "twice", "deep", "long"],
)
def test_a_file_that_is_no_toml_is_named(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "erase.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EraseError, match=f"erase.toml .*{says}"):
        read_file(path)
