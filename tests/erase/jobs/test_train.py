"""Erasing as a job: what is written in which layout, resuming to the bit, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.comparison import changed_weights, outside
from graphlab.erase.jobs.config import merged
from graphlab.erase.jobs.lora_file import read_lora
from graphlab.erase.jobs.memory import memory_told
from graphlab.erase.jobs.record import file_hash
from graphlab.erase.jobs.saliency import make_mask
from graphlab.erase.jobs.train import train_erased
from graphlab.erase.sources.opening import open_source
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.progress import Progress
from graphlab.errors import GraphlabError
from graphlab.masks import read_mask, write_mask
from tests.erase import tiny
from tests.erase.jobs.small import quick

LORA: dict[str, Any] = {"training": {"lora": {"rank": 2}, "parameters": r"regex:attn2\.to_(k|v)\.weight$"}}


@pytest.fixture
def source(base_path: Path) -> ErasureSource:
    return open_source(str(base_path))


@pytest.fixture(scope="module")
def mask(base_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given, path = open_source(str(base_path)), tmp_path_factory.mktemp("mask") / "mask.safetensors"
    make_mask(given, quick(given), path)
    return path


def test_writes_a_base_whose_weights_changed_in_the_mask_alone(
    source: ErasureSource, mask: Path, tmp_path: Path
) -> None:
    before = module_hash(source.model.module)
    made = train_erased(source, quick(source), tmp_path / "out", mask=mask)
    assert module_hash(source.model.module) == before
    erased = open_source(str(tmp_path / "out" / "erased.safetensors"))
    rows = changed_weights(source.model.module.state_dict(), erased.model.module.state_dict(), _bits(mask))
    assert rows == made.changes
    assert outside(rows) == 0
    assert 0 < sum(row.changed for row in rows) <= read_mask(mask).set_entries
    manifest = json.loads(made.manifest.read_text())
    assert manifest["inputs_sha256"]["mask"] == file_hash(mask)
    assert manifest["outputs_sha256"] == {"erased.safetensors": file_hash(tmp_path / "out" / "erased.safetensors")}
    assert manifest["results"]["iterations"] == 4
    assert manifest["results"]["changed_outside_mask"] == 0
    assert manifest["config"]["training"]["iterations"] == 4


def _bits(path: Path) -> dict[str, torch.Tensor]:
    found = read_mask(path)
    return {key: found.bits(key) for key in found.weights}


def test_writes_the_unet_folder_of_a_pipeline(pipeline_path: Path, tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel

    source = open_source(str(pipeline_path))
    config = quick(source, {"concepts": ["a cat"], "prompts": ["cats"], "training": {"iterations": 2}})
    made = train_erased(source, config, tmp_path / "out")
    assert made.prompts == ("a cat", "cats")
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "out", subfolder="unet", local_files_only=True)
    assert module_hash(unet) == module_hash(made.source.model.module) != module_hash(source.model.module)
    assert set(json.loads(made.manifest.read_text())["outputs_sha256"]) == {
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    }


def test_an_interrupted_run_goes_on_to_the_same_bytes(source: ErasureSource, mask: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train_erased(source, quick(source), whole, mask=mask)

    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_erased(source, quick(source), cut, mask=mask, on_progress=interrupt)
    assert not (cut / "erased.safetensors").exists()
    seen: list[int] = []
    train_erased(source, quick(source), cut, mask=mask, resume=True, on_progress=lambda now: seen.append(now.done))
    assert seen == [3, 4]
    assert (cut / "erased.safetensors").read_bytes() == (whole / "erased.safetensors").read_bytes()


def test_a_run_of_another_configuration_does_not_go_on(source: ErasureSource, mask: Path, tmp_path: Path) -> None:
    train_erased(source, quick(source), tmp_path / "out", mask=mask)
    with pytest.raises(EraseError, match=r"cannot go on: changed since is config.rate"):
        train_erased(source, quick(source, {"training": {"rate": 1e-3}}), tmp_path / "out", mask=mask, resume=True)
    with pytest.raises(EraseError, match=r"changed since is mask_sha256"):
        train_erased(source, quick(source), tmp_path / "out", resume=True)
    with pytest.raises(EraseError, match=r"changed since is prompts_sha256"):
        train_erased(source, quick(source, {"concepts": ["four"]}), tmp_path / "out", mask=mask, resume=True)


def test_what_is_there_stays_unless_forced(source: ErasureSource, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    with pytest.raises(EraseError, match=r"out is not empty .*--force"):
        train_erased(source, quick(source), folder)
    first = train_erased(source, quick(source), folder, force=True)
    second = train_erased(source, quick(source, {"training": {"seed": 1}}), folder, force=True)
    assert module_hash(first.source.model.module) != module_hash(second.source.model.module)
    assert (folder / "notes").read_text() == "mine"


def test_nothing_of_an_earlier_run_is_taken_for_the_next(source: ErasureSource, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    train_erased(source, quick(source, LORA), folder)
    assert (folder / "lora.safetensors").exists()

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_erased(source, quick(source), folder, force=True, on_progress=interrupt)
    assert {file.name for file in folder.iterdir()} == {"state"}


def test_a_source_is_not_written_over(base_path: Path, pipeline_path: Path, tmp_path: Path) -> None:
    shutil.copytree(pipeline_path, tmp_path / "pipe")
    shutil.copy(base_path, tmp_path / "erased.safetensors")
    for place, folder in ((tmp_path / "pipe", tmp_path / "pipe"), (tmp_path / "erased.safetensors", tmp_path)):
        source = open_source(str(place))
        prompts = {"concepts": [], "prompts": ["roman iii"]}
        with pytest.raises(EraseError, match="holds the source"):
            train_erased(source, quick(source, prompts), folder, force=True)
    assert (tmp_path / "erased.safetensors").read_bytes() == base_path.read_bytes()


@pytest.mark.parametrize("place", ["file", "nowhere/out", "file/out"])
def test_a_hopeless_folder_is_refused_before_any_work(place: str, source: ErasureSource, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    seen: list[Progress] = []
    with pytest.raises(EraseError, match="cannot write into"):
        train_erased(source, quick(source), tmp_path / place, on_progress=seen.append)
    assert not seen


def test_what_does_not_fit_into_memory_is_said(source: ErasureSource, tmp_path: Path) -> None:
    """256 TB, which no machine gives; other errors of torch stay what they are."""
    with pytest.raises(EraseError, match=r"not enough memory: \d+ bytes more .*a smaller batch"):
        train_erased(source, quick(source, {"training": {"path": {"batch": 10**12}}}), tmp_path / "out")
    with pytest.raises(EraseError, match="not enough memory"), memory_told():
        raise MemoryError
    with pytest.raises(RuntimeError, match="another fault"), memory_told():
        raise RuntimeError("another fault")


@pytest.mark.parametrize("path", [{"boundary": 9.0}, {"boundary": 2.7, "until": 2.9}], ids=["above-all", "between"])
def test_a_boundary_beyond_all_levels_erases_nothing_and_is_refused(
    path: dict[str, float], source: ErasureSource, tmp_path: Path
) -> None:
    with pytest.raises(EraseError, match=r"nothing is erased .levels lie between log SNR -4.00 and 1"):
        train_erased(source, quick(source, {"training": {"path": path}}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_prompt_that_says_nothing_is_refused(source: ErasureSource, tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="says as much as the empty one"):
        train_erased(source, quick(source, {"prompts": ["  "]}), tmp_path / "out")


def test_there_has_to_be_something_to_resume(source: ErasureSource, tmp_path: Path) -> None:
    with pytest.raises(EraseError, match=r"no folder .* to resume from"):
        train_erased(source, quick(source), tmp_path / "out", resume=True)
    (tmp_path / "out").mkdir()
    with pytest.raises(EraseError, match="holds no run to resume"):
        train_erased(source, quick(source), tmp_path / "out", resume=True)


def test_masks_that_do_not_fit_are_refused(source: ErasureSource, mask: Path, tmp_path: Path) -> None:
    other = open_source(str(tiny.base_file(tmp_path, seed=1)))
    with pytest.raises(EraseError, match="made for another base"):
        train_erased(other, quick(other), tmp_path / "out", mask=mask)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(mask.read_bytes()[:-10])
    with pytest.raises(GraphlabError, match=r"cut\.safetensors is truncated"):
        train_erased(source, quick(source), tmp_path / "out", mask=cut)
    with pytest.raises(GraphlabError, match="nowhere"):
        train_erased(source, quick(source), tmp_path / "out", mask=tmp_path / "nowhere.safetensors")
    assert not (tmp_path / "out").exists()


def test_an_empty_mask_is_refused(source: ErasureSource, tmp_path: Path) -> None:
    """Such a file is not written by graphlab, so it is made of one that is."""
    state, path = source.model.module.state_dict(), tmp_path / "mask.safetensors"
    write_mask(path, {"conv_in.bias": torch.ones(8, dtype=torch.bool)}, state)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"\0")
    with pytest.raises(GraphlabError, match="no entry"):
        train_erased(source, quick(source), tmp_path / "out", mask=path)


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(base_path: Path, tmp_path: Path) -> None:
    source = open_source(str(base_path))
    folder = tmp_path / "out"
    settings = quick(source, {"training": {"rate": 1e30, "iterations": 50, "optimizer": "sgd", "momentum": 0.0}})
    with pytest.raises(EraseError, match=r"(is|not) (nan|inf|finite).*"):
        train_erased(source, settings, folder)
    assert not (folder / "erased.safetensors").exists()
    assert not (folder / "manifest.json").exists()


def test_low_rank_factors_are_written_and_are_the_change(source: ErasureSource, tmp_path: Path) -> None:
    made = train_erased(source, quick(source, LORA), tmp_path / "out")
    lora = read_lora(tmp_path / "out")
    assert lora.prompts == made.prompts
    assert lora.base == module_hash(source.model.module)
    before, after = source.model.module.state_dict(), made.source.model.module.state_dict()
    assert lora.layers
    for layer in lora.layers:
        change = after[f"{layer}.weight"] - before[f"{layer}.weight"]
        assert torch.allclose(lora.change(layer), change, atol=1e-6)
        assert bool(change.any())


def test_diffusers_reads_the_low_rank_file(pipeline_path: Path, tmp_path: Path) -> None:
    source = open_source(str(pipeline_path))
    config = quick(source, merged(LORA, {"concepts": ["a cat"], "training": {"rate": 0.05}}))
    made = train_erased(source, config, tmp_path / "out")
    again: Any = open_source(str(pipeline_path)).model.module
    again.load_lora_adapter(load_file(tmp_path / "out" / "lora.safetensors"), prefix=None)
    x, text = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), source.encode(["a cat"])
    level = source.model.schedule.levels(4)[1]
    with torch.no_grad():
        wanted = made.source.model.denoiser.output(x, level, text)
        plain = source.model.denoiser.output(x, level, text)
        found = made.source.model.around(again).denoiser.output(x, level, text)
    assert float((found - wanted).abs().max()) < 1e-3 * float((plain - wanted).abs().max())


def test_a_low_rank_run_under_a_mask_has_no_factors(source: ErasureSource, mask: Path, tmp_path: Path) -> None:
    made = train_erased(source, quick(source, LORA), tmp_path / "out", mask=mask)
    assert outside(made.changes) == 0
    with pytest.raises(EraseError, match="a run without --lora, or with a mask, has none"):
        read_lora(tmp_path / "out")


@pytest.mark.parametrize("name", ["tpu9", "meta", "cuda:77"])
def test_a_device_that_is_not_there_is_refused(name: str, source: ErasureSource, tmp_path: Path) -> None:
    with pytest.raises(EraseError, match=r"device"):
        train_erased(source, quick(source), tmp_path / "out", device=name)
    assert not (tmp_path / "out").exists()


def test_a_precision_is_a_matter_of_accelerate(
    source: ErasureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(source, {"training": {"precision": "bf16", "backend": "accelerate", "iterations": 1}})
    made = train_erased(source, settings, tmp_path / "out", device="cpu")
    assert all(value.dtype == torch.float32 for value in made.source.model.module.state_dict().values())
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(EraseError, match="pip install"):
        train_erased(source, settings, tmp_path / "other", device="cpu")


def test_a_missing_peft_says_what_to_install(
    source: ErasureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EraseError, match="pip install"):
        train_erased(source, quick(source, LORA), tmp_path / "out")
