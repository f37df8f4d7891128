"""Tensors through a file: what is written is read, in its order, one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import graphlab.timing.store as store
from graphlab.timing.errors import BenchError
from graphlab.timing.store import StoredTensors, write_tensors

TENSORS = {
    "z.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a": torch.tensor(7),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "empty": torch.empty(0, 4),
    "mask": torch.tensor([True, False]),
}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", TENSORS, TENSORS)
    found = StoredTensors([tmp_path / "t"])
    assert list(found) == list(TENSORS)
    assert len(found) == len(TENSORS)
    for key, value in TENSORS.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value)


def test_the_library_reads_it_too(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t", TENSORS, TENSORS)
    assert set(load_file(tmp_path / "t")) == set(TENSORS)


def test_a_later_file_overrules_an_earlier_one(tmp_path: Path) -> None:
    for name, value in (("one", 1.0), ("two", 2.0)):
        made = {"shared": torch.full((2,), value), name: torch.ones(1)}
        write_tensors(tmp_path / name, made, made)
    found = StoredTensors([tmp_path / "one", tmp_path / "two"])
    assert found["shared"].tolist() == [2.0, 2.0]
    assert list(found) == ["shared", "one", "two"]


def test_strided_values_are_written_by_their_elements(tmp_path: Path) -> None:
    value = torch.arange(6.0).reshape(2, 3).t()
    write_tensors(tmp_path / "t", {"t": value}, {"t": value})
    assert torch.equal(StoredTensors([tmp_path / "t"])["t"], value)


class Lazy(Mapping[str, torch.Tensor]):
    """Values made when asked for; says how many were."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> torch.Tensor:
        self.asked.append(key)
        return torch.full((2,), float(len(self.asked)))

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("only keys that are wanted may be asked for")

    def __len__(self) -> int:
        raise AssertionError("only keys that are wanted may be asked for")


def test_every_value_is_asked_for_once_and_in_order(tmp_path: Path) -> None:
    values = Lazy()
    write_tensors(tmp_path / "t", {"b": torch.empty(2, device="meta"), "a": torch.empty(2, device="meta")}, values)
    assert values.asked == ["b", "a"]
    assert StoredTensors([tmp_path / "t"])["a"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("value", [torch.ones(3), torch.ones(2, dtype=torch.float64)], ids=["shape", "dtype"])
def test_another_value_than_promised(tmp_path: Path, value: torch.Tensor) -> None:
    with pytest.raises(BenchError, match=r"w is .* expected torch\.float32"):
        write_tensors(tmp_path / "t", {"w": torch.empty(2)}, {"w": value})


def test_a_dtype_that_cannot_travel(tmp_path: Path) -> None:
    value = torch.zeros(1, dtype=torch.complex128)
    with pytest.raises(BenchError, match="complex128"):
        write_tensors(tmp_path / "t", {"w": value}, {"w": value})


def test_a_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    with pytest.raises(BenchError, match=r"do not fit into .*1 MiB are free.*TMPDIR"):
        write_tensors(tmp_path / "t", TENSORS, TENSORS)
    assert not (tmp_path / "t").exists()


def test_complex_constants_travel(tmp_path: Path) -> None:
    """Tables of rotary embeddings are such."""
    value = torch.polar(torch.ones(3), torch.arange(3.0))
    write_tensors(tmp_path / "t", {"table": value}, {"table": value})
    assert torch.equal(StoredTensors([tmp_path / "t"])["table"], value)
