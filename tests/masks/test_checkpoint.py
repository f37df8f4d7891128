"""The edited checkpoint: files, folders and shards, and names behind a prefix."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from graphlab.errors import GraphlabError
from graphlab.masks import EditedWeights, MaskError

KEYS = ["conv.weight", "conv.bias"]
WEIGHTS = {"conv.weight": torch.randn(2, 3), "conv.bias": torch.randn(2), "other": torch.randn(1)}


def saved(path: Path, weights: Mapping[str, torch.Tensor], prefix: str = "") -> Path:
    save_file({prefix + key: tensor for key, tensor in weights.items()}, str(path))
    return path


def sharded(folder: Path, shards: Mapping[str, Mapping[str, torch.Tensor]]) -> Path:
    for name, weights in shards.items():
        save_file(dict(weights), str(folder / name))
    places = {key: name for name, weights in shards.items() for key in weights}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return index


def found(path: Path, keys: list[str] = KEYS) -> str:
    """The prefix, after all weights were compared."""
    edited = EditedWeights.open(path, keys)
    for key in keys:
        assert torch.equal(edited.get(key), WEIGHTS[key])
        assert edited.meta(key).shape == tuple(WEIGHTS[key].shape)
    return edited.prefix


@pytest.mark.parametrize("prefix", ["", "unet.", "model.diffusion_model."])
def test_a_file_and_its_folder(tmp_path: Path, prefix: str) -> None:
    path = saved(tmp_path / "edited.safetensors", WEIGHTS, prefix)
    assert found(path) == prefix
    assert found(tmp_path) == prefix


def test_shards(tmp_path: Path) -> None:
    parts = {
        "a.safetensors": {"unet.conv.weight": WEIGHTS["conv.weight"]},
        "b.safetensors": {"unet.conv.bias": WEIGHTS["conv.bias"]},
    }
    index = sharded(tmp_path, parts)
    assert found(index) == "unet."
    assert found(tmp_path) == "unet."


def test_own_names_come_before_prefixed_ones(tmp_path: Path) -> None:
    other = {f"ema.{key}": tensor + 1 for key, tensor in WEIGHTS.items()}
    assert found(saved(tmp_path / "e.safetensors", {**WEIGHTS, **other})) == ""


def test_a_prefix_counts_only_before_every_key(tmp_path: Path) -> None:
    weights = {f"unet.{key}": tensor for key, tensor in WEIGHTS.items()} | {"text.conv.weight": torch.ones(2, 3)}
    assert found(saved(tmp_path / "e.safetensors", weights)) == "unet."


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({f"{prefix}.{key}": 0 for prefix in ("unet", "ema") for key in KEYS}, "2 prefixes: ema., unet."),
        ({"conv.weight": 0}, "no weight 'conv.bias', which is masked"),
        ({"conv.weight": 0, "unet.conv.bias": 0}, "'conv.bias', which is masked (did you mean 'unet.conv.bias'?"),
        ({"unet.conv.weight": 0, "unet.conv.bais": 0}, "no weight 'conv.bias'"),
        ({"deconv.weight": 0, "deconv.bias": 0}, "no weight 'conv.weight'"),
    ],
    ids=["ambiguous", "missing", "mixed", "typo", "no dot"],
)
def test_names_that_do_not_fit(tmp_path: Path, weights: dict[str, int], words: str) -> None:
    path = saved(tmp_path / "e.safetensors", {key: torch.ones(1) for key in weights})
    with pytest.raises(MaskError, match=re.escape(words)):
        EditedWeights.open(path, KEYS)


def test_folders_that_do_not_say_which(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"holds no \.safetensors file"):
        EditedWeights.open(tmp_path, KEYS)
    saved(tmp_path / "a.safetensors", WEIGHTS)
    saved(tmp_path / "b.safetensors", WEIGHTS)
    with pytest.raises(MaskError, match=r"2 checkpoints: a\.safetensors, b\.safetensors"):
        EditedWeights.open(tmp_path, KEYS)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(GraphlabError, match="does not exist"):
        EditedWeights.open(tmp_path / "none.safetensors", KEYS)
    torch.save(WEIGHTS, tmp_path / "e.pt")
    with pytest.raises(MaskError, match=r"is a torch\.save archive, expected a safetensors file"):
        EditedWeights.open(tmp_path / "e.pt", KEYS)
    cut = saved(tmp_path / "cut.safetensors", WEIGHTS)
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(GraphlabError, match="truncated"):
        EditedWeights.open(cut, KEYS)


def test_a_shard_outside_the_folder_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "outside.safetensors", WEIGHTS)
    (tmp_path / "inner").mkdir()
    index = tmp_path / "inner" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(WEIGHTS, "../outside.safetensors")}))
    with pytest.raises(GraphlabError, match="not in its folder"):
        EditedWeights.open(index, KEYS)


def test_a_missing_shard(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"a.safetensors": WEIGHTS})
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(GraphlabError, match=r"a\.safetensors is missing"):
        EditedWeights.open(index, KEYS)
