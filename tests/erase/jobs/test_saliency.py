"""A mask as a job: what is written, going on after an interruption, and what is refused before any work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.config import erase_config
from graphlab.erase.jobs.record import file_hash
from graphlab.erase.jobs.roles import by_role, role_of
from graphlab.erase.jobs.saliency import make_mask
from graphlab.erase.saliency.building import saliency
from graphlab.erase.sources.opening import open_source
from graphlab.erase.sources.source import ErasureSource, named_prompts
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.progress import Progress
from graphlab.masks import read_mask
from tests.erase.jobs.small import quick

ONE_MAP: dict[str, Any] = {"maps": {"seeds": [0]}, "forms": 1}


@pytest.fixture
def source(base_path: Path) -> ErasureSource:
    return open_source(str(base_path))


def test_writes_the_mask_and_a_manifest(source: ErasureSource, tmp_path: Path) -> None:
    config, path = quick(source), tmp_path / "mask.safetensors"
    seen: list[Progress] = []
    made = make_mask(source, config, path, on_progress=seen.append)
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mask.safetensors", "mask.safetensors.json"]
    mask = read_mask(path)
    wanted = saliency(source.model, named_prompts(source, source.phrases("three")), config.maps)
    assert all(bool((mask.bits(key) == wanted.masks[key]).all()) for key in mask.weights)
    assert mask.about["prompts"] == list(source.phrases("three"))
    manifest = json.loads(made.manifest.read_text())
    assert manifest["base_sha256"] == module_hash(source.model.module)
    assert manifest["outputs_sha256"] == {"mask.safetensors": file_hash(path)}
    assert manifest["config"] == config.mapping()
    assert manifest["seeds"] == {"maps": [0, 1], "random": None}
    assert manifest["results"]["density"] == pytest.approx(made.density)
    assert "torch" in manifest["versions"]


def test_an_interrupted_run_goes_on_with_the_same_bytes(source: ErasureSource, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    make_mask(source, quick(source), whole)

    def interrupt(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_mask(source, quick(source), cut, on_progress=interrupt)
    assert not cut.exists()
    seen: list[int] = []
    make_mask(source, quick(source), cut, on_progress=lambda progress: seen.append(progress.done))
    assert seen == [4, 5, 6]
    assert cut.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_a_kept_run_of_another_configuration_is_refused_unless_forced(source: ErasureSource, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_mask(source, quick(source), path, on_progress=interrupt)
    other = quick(source, {"maps": {"fraction": 0.4, "seeds": [0]}, "forms": 1})
    with pytest.raises(EraseError, match="of another configuration, model or prompts"):
        make_mask(source, other, path)
    make_mask(source, other, path, force=True)
    assert read_mask(path).about["fraction"] == 0.4


def test_what_is_there_stays_unless_forced(source: ErasureSource, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    path.write_text("precious")
    with pytest.raises(EraseError, match=r"is there already .*--force"):
        make_mask(source, quick(source), path)
    assert path.read_text() == "precious"
    path.unlink()
    (tmp_path / "mask.safetensors.json").write_text("precious")
    with pytest.raises(EraseError, match=r"json is there already"):
        make_mask(source, quick(source), path)


@pytest.mark.parametrize("place", ["base.safetensors", "pipe/unet/config.json", "pipe/model_index.json"])
def test_a_source_is_not_written_over(place: str, base_path: Path, pipeline_path: Path, tmp_path: Path) -> None:
    shutil.copy(base_path, tmp_path / "base.safetensors")
    shutil.copytree(pipeline_path, tmp_path / "pipe")
    (tmp_path / "pipe" / "model_index.json").write_text("{}")
    before = (tmp_path / place).read_bytes()
    source = open_source(str(tmp_path / place.split("/")[0]))
    with pytest.raises(EraseError, match="is part of the source"):
        make_mask(source, quick(source, {"concepts": [], "prompts": ["roman iii"]}), tmp_path / place, force=True)
    assert (tmp_path / place).read_bytes() == before


def test_a_name_that_is_too_long_is_refused_before_any_work(source: ErasureSource, tmp_path: Path) -> None:
    for name in ("m" * 300, "m" * 245):  # the second is too long while the mask is written
        with pytest.raises(EraseError, match="name too long"):
            make_mask(source, quick(source), tmp_path / name)


def test_a_folder_is_no_place_for_a_mask(source: ErasureSource, tmp_path: Path) -> None:
    for path in (Path(), tmp_path):
        with pytest.raises(EraseError, match="it is a folder"):
            make_mask(source, quick(source), path, force=True)


def test_latents_of_another_shape_are_refused(source: ErasureSource, pipeline_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    with pytest.raises(EraseError, match=r"shape \(1, 8, 8\), not \(1, 16, 16\)"):
        make_mask(source, quick(source, {"maps": {"shape": [1, 16, 16]}}), path)
    other = open_source(str(pipeline_path))
    with pytest.raises(EraseError, match=r"latents of 4 channels .* not \(3, 8, 8\)"):
        make_mask(other, quick(other, {"maps": {"shape": [3, 8, 8]}}), path)


@pytest.mark.parametrize("place", ["nowhere/mask.safetensors", "file/mask.safetensors"])
def test_a_hopeless_path_is_refused_before_any_work(place: str, source: ErasureSource, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen: list[Progress] = []
    with pytest.raises(EraseError, match="no such folder"):
        make_mask(source, quick(source), tmp_path / place, on_progress=seen.append)
    assert not seen


def test_a_mask_without_an_entry_is_refused(source: ErasureSource, tmp_path: Path) -> None:
    config = quick(source, {"maps": {"fraction": 1e-7, "seeds": [0]}, "forms": 1})
    with pytest.raises(EraseError, match="no entry is in the intersection"):
        make_mask(source, config, tmp_path / "mask.safetensors")
    assert not (tmp_path / "mask.safetensors").exists()


def test_roles_of_keys() -> None:
    assert role_of("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight") == "cross-attention key"
    assert role_of("down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.bias") == "self-attention output"
    assert role_of("mid_block.resnets.0.norm1.weight") == "norm"
    assert role_of("mid_block.resnets.0.conv1.weight") == "convolution"
    assert role_of("up_blocks.0.upsamplers.0.conv.weight") == "resampling"
    assert role_of("body.3.weight") == "other"


def test_every_weight_of_a_unet_has_a_role(source: ErasureSource) -> None:
    assert "other" not in {role_of(key) for key in source.model.module.state_dict()}


def test_roles_add_up(source: ErasureSource, tmp_path: Path) -> None:
    made = make_mask(source, quick(source, ONE_MAP), tmp_path / "mask.safetensors")
    assert sum(row.kept for row in made.roles) == sum(row.kept for row in made.found.rows)
    assert sum(row.weights for row in made.roles) == len(made.found.rows)
    assert by_role(()) == ()


def test_a_random_mask_is_as_dense(source: ErasureSource, tmp_path: Path) -> None:
    plain, drawn = tmp_path / "plain.safetensors", tmp_path / "drawn.safetensors"
    make_mask(source, quick(source, ONE_MAP), plain)
    make_mask(source, quick(source, {**ONE_MAP, "random": 3}), drawn)
    one, other = read_mask(plain), read_mask(drawn)
    assert other.about["method"] == "random"
    assert {key: part.set_entries for key, part in one.weights.items()} == {
        key: part.set_entries for key, part in other.weights.items()
    }
    assert any(one.packed(key) != other.packed(key) for key in one.weights)


def test_a_method_says_how_its_mask_is_made(source: ErasureSource, tmp_path: Path) -> None:
    """One map of one phrase, the highest half of all gradients at all levels."""
    values = {"method": "salun", "maps": {"draws": 1, "steps": 4}, "concepts": ["three"]}
    made = make_mask(source, erase_config(source, values), tmp_path / "mask.safetensors")
    assert made.prompts == ("the digit three",)
    assert len(made.found.curve) == 1
    about = read_mask(made.path).about
    assert (about["ranking"], about["log_snr"], about["seeds"]) == ("global", ["-inf", "inf"], [0])
    assert made.density == pytest.approx(0.5, abs=0.01)
