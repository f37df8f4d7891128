"""Shipped bases by name: what is there is read, what is missing is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.erase.errors import EraseError
from graphlab.erase.training.model import module_hash
from graphlab.erase.worlds.base import BaseConfig, new_base
from graphlab.erase.worlds.base_file import save_base
from graphlab.erase.worlds.shipped import BASES, FILES, judges_of, shipped, shipped_judge, shipped_names


def test_a_base_is_read_by_its_name(tmp_path: Path) -> None:
    base = new_base(BaseConfig("digits", "flow", (8, 16), heads=2), 3)
    save_base(base, tmp_path / "digits-flow.safetensors")
    found = shipped("digits-flow", tmp_path)
    assert module_hash(found.unet) == module_hash(base.unet)
    assert found.config == base.config
    assert shipped_names(tmp_path) == ("digits-flow",)
    assert shipped("digits-flow", tmp_path).unet is not found.unet


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="no shipped model is called 'digits-flow'") as empty:
        shipped("digits-flow", tmp_path)
    assert "none is there" in str(empty.value.hint)
    save_base(new_base(BaseConfig("digits", "epsilon", (8, 16), heads=2), 0), tmp_path / "digits-epsilon-0.safetensors")
    with pytest.raises(EraseError) as near:
        shipped("digits-epsilon-1", tmp_path)
    assert "digits-epsilon-0" in str(near.value.hint)
    with pytest.raises(EraseError) as other:
        shipped_judge("layout", tmp_path)
    assert "digits-epsilon-0" in str(other.value.hint)
    with pytest.raises(EraseError, match="no world"):
        judges_of("pictures", tmp_path)


def test_every_file_that_is_shipped_has_a_known_name_and_is_read() -> None:
    for path in FILES.glob("*.safetensors"):
        assert path.stem in (*BASES, "judge-digits", "judge-layout")
        assert shipped_judge(path.stem.removeprefix("judge-")) if "judge" in path.stem else shipped(path.stem)
