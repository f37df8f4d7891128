"""The bases that come with graphlab as built-in models: their names, their own values, and what comes before a name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import graphlab
from graphlab.errors import SourceError, UnknownNameError
from graphlab.loading import load
from graphlab.models import erase_bases, find_model, models
from graphlab.models.erase_bases import BASES, FILES, FIRST
from graphlab.weights import WeightsError, weight_source


def test_every_base_is_a_model_of_its_own_file() -> None:
    assert {path.stem for path in FILES.glob("*.safetensors")} - {"judge-digits", "judge-layout"} == set(BASES)
    for name in BASES:
        assert models()[name].kind == "trained text-to-image"
        workload = find_model(name).workload()
        assert workload.name == f"{name.partition('-')[0]}-base"
        assert [stage.name for stage in workload.stages] == ["text_encoder", "unet"]
        channels = 3 if name.startswith("layout") else 1
        assert workload.stage("unet").inputs["sample"].shape[1] == channels  # type: ignore[union-attr]  # a tensor


@pytest.mark.parametrize("short", sorted(FIRST))
def test_a_short_name_is_the_first_base_of_its_world(short: str) -> None:
    assert find_model(short).name == FIRST[short]
    workload = load(short)
    assert workload.source == short
    stored = load_file(FILES / f"{FIRST[short]}.safetensors")
    for name, prefix in (("text_encoder", "encoder."), ("unet", "unet.")):
        read = weight_source(workload, name)
        for key, value in stored.items():
            if key.startswith(prefix):
                assert torch.equal(read.read(key.removeprefix(prefix), value), value)


def test_weights_by_another_name_are_refused() -> None:
    with pytest.raises(WeightsError, match="digits has the values of all weights of unet"):
        weight_source(load("digits"), "unet", "random:0")


def test_it_is_analysed_as_the_file_is() -> None:
    by_name = graphlab.analyze("digits-v", stage="unet", dynamic=False)
    by_file = graphlab.analyze(FILES / "digits-v.safetensors", stage="unet", dynamic=False)
    assert by_name.to_dict()["stages"] == by_file.to_dict()["stages"]


def test_what_is_there_comes_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(FILES / "layout-0.safetensors", "digits")
    assert load("digits").name == "layout-base"
    Path("digits").unlink()
    Path("digits").mkdir()
    with pytest.raises(SourceError, match="digits"):
        load("digits")
    Path("digits").rmdir()
    assert load("digits").name == "digits-base"


def test_what_is_misspelt_or_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError) as error:
        load("digits-epsilon-7")
    assert "digits-epsilon-" in str(error.value.hint)
    monkeypatch.setattr(erase_bases, "FILES", tmp_path)
    with pytest.raises(SourceError, match=r"layout-0\.safetensors"):
        load("layout-0")
