"""Fusing low-rank runs as a job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.fusion.projections import cross_attention_projections
from graphlab.erase.jobs.fuse import PROJECTIONS, FuseConfig, fuse_loras
from graphlab.erase.jobs.lora_file import LoraFile, read_lora
from graphlab.erase.jobs.train import train_erased
from graphlab.erase.sources.opening import open_source
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.model import module_hash
from tests.erase.jobs.small import quick

LORA: dict[str, Any] = {"training": {"lora": {"rank": 2}, "parameters": PROJECTIONS, "rate": 0.05}}


@pytest.fixture(scope="module")
def source(base_path: Path) -> ErasureSource:
    return open_source(str(base_path))


@pytest.fixture(scope="module")
def loras(source: ErasureSource, tmp_path_factory: pytest.TempPathFactory) -> list[LoraFile]:
    made = []
    for concept in ("three", "seven"):
        folder = tmp_path_factory.mktemp(concept) / "out"
        train_erased(source, quick(source, {**LORA, "concepts": [concept]}), folder)
        made.append(read_lora(folder))
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "captions.txt"
    path.write_text("the digit one\nthe digit nine\nroman v\n")
    return path


def test_fuses_every_edit_into_keys_and_values(
    source: ErasureSource, loras: list[LoraFile], kept: Path, tmp_path: Path
) -> None:
    made = fuse_loras(source, loras, kept, tmp_path / "out", FuseConfig(keep=0.0, rho=1e-9))
    assert {row.projection for row in made.rows} == set(cross_attention_projections(source.model.module))
    missed = [value for row in made.rows for value in row.missed if value is not None]
    assert len(missed) == 2 * len(made.rows)
    assert all(row.moved > 0 for row in made.rows)
    again = open_source(str(tmp_path / "out" / "erased.safetensors"))
    assert module_hash(again.model.module) == module_hash(made.source.model.module)
    before, after = source.model.module.state_dict(), again.model.module.state_dict()
    changed = {key.removesuffix(".weight") for key in before if not torch.equal(before[key], after[key])}
    assert changed == {row.projection for row in made.rows}
    manifest = json.loads(made.manifest.read_text())
    assert manifest["results"]["prompts"] == [prompt for lora in loras for prompt in lora.prompts]


def test_one_edit_alone_is_met_and_captions_hold_it_back(
    source: ErasureSource, loras: list[LoraFile], kept: Path, tmp_path: Path
) -> None:
    free = fuse_loras(source, loras[:1], kept, tmp_path / "free", FuseConfig(keep=0.0, rho=1e-12))
    held = fuse_loras(source, loras[:1], kept, tmp_path / "held", FuseConfig(keep=100.0))
    for one, other in zip(free.rows, held.rows, strict=True):
        assert one.missed[0] is not None
        assert other.missed[0] is not None
        assert one.missed[0] < 0.01 < other.missed[0]


def test_nothing_trained_is_nothing_changed(
    source: ErasureSource, loras: list[LoraFile], kept: Path, tmp_path: Path
) -> None:
    still = replace(loras[0], factors={key: torch.zeros_like(value) for key, value in loras[0].factors.items()})
    made = fuse_loras(source, [still], kept, tmp_path / "out")
    assert all(row.moved < 1e-6 for row in made.rows)
    assert all(value is None for row in made.rows for value in row.missed)


def test_refuses(source: ErasureSource, loras: list[LoraFile], kept: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(EraseError, match="nothing to fuse"):
        fuse_loras(source, [], kept, out)
    with pytest.raises(EraseError, match="trained from another base"):
        fuse_loras(source, [replace(loras[0], base="0" * 64)], kept, out)
    elsewhere = {f"conv_in.{end}.weight": torch.zeros(1, 1) for end in ("lora_A", "lora_B")}
    with pytest.raises(EraseError, match="changes conv_in, which no closed form"):
        fuse_loras(source, [replace(loras[0], factors=elsewhere)], kept, out)
    with pytest.raises(EraseError, match="is given twice"):
        fuse_loras(source, [loras[0], loras[0]], kept, out)
    home = loras[0].place
    assert home is not None
    with pytest.raises(EraseError, match="which is to be fused"):
        fuse_loras(source, loras, kept, home.parent, force=True)
    assert home.is_file()
    narrow = {key: value[:, :1] if key.endswith("A.weight") else value for key, value in loras[0].factors.items()}
    with pytest.raises(EraseError, match=r"by a matrix \(\d+, 1\), expected"):
        fuse_loras(source, [replace(loras[0], factors=narrow)], kept, out)
    nothing = {key: value.new_full(value.shape, float("nan")) for key, value in loras[0].factors.items()}
    with pytest.raises(EraseError, match="not finite"):
        fuse_loras(source, [replace(loras[0], factors=nothing)], kept, out)
    kept.write_text("\n")
    with pytest.raises(EraseError, match="holds no caption"):
        fuse_loras(source, loras, kept, out)
    kept.write_text("the cat\n")
    with pytest.raises(EraseError, match=r"'cat' .* not in the base's vocabulary"):
        fuse_loras(source, loras, kept, out)
    with pytest.raises(EraseError, match="keep is -1"):
        FuseConfig(keep=-1.0)
    assert not out.exists() or not list(out.iterdir())  # some are found out while the edits are made


def test_files_that_are_none_are_refused(tmp_path: Path, base_path: Path) -> None:
    with pytest.raises(EraseError, match="there is no low-rank file"):
        read_lora(tmp_path)
    with pytest.raises(EraseError, match=r"is no graphlab.erase-lora"):
        read_lora(base_path)
