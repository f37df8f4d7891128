"""Models on disk: one file or two, the same tensors either way, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy
import onnx
import onnx.numpy_helper
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from graphlab.exporting import saving
from graphlab.exporting.errors import ExportError
from graphlab.exporting.saving import add_metadata, save_model, staged, staged_folder, write_model
from tests.exporting.runs import Call, Own, agree, captured, lowered

X = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(1))


def model() -> Call:
    torch.manual_seed(0)
    return Call(lambda m, x: m.b(m.norm(m.a(x)).relu()), a=nn.Linear(16, 40), norm=nn.LayerNorm(40), b=nn.Linear(40, 8))


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights go to a file of their own, as over 2 GB."""
    monkeypatch.setattr(saving, "MOST_IN_ONE_FILE", 100)


def test_one_file_is_a_message_protobuf_reads(tmp_path: Path) -> None:
    module = model()
    found = lowered(captured(module, X))
    saved = save_model(found, Own(found), tmp_path / "m.onnx")
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]
    assert saved.data is None
    assert saved.nbytes == (tmp_path / "m.onnx").stat().st_size
    proto = onnx.load(os.fspath(tmp_path / "m.onnx"))
    assert proto.SerializeToString() == onnx.ModelProto.FromString(proto.SerializeToString()).SerializeToString()
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert numpy.array_equal(held["a.weight.T"], module.a.weight.T.numpy())
    assert numpy.array_equal(held["b.bias"], module.b.bias.numpy())
    assert saved.weight_bytes == sum(array.nbytes for array in held.values())


@pytest.mark.usefixtures("outside")
def test_two_files_hold_the_same_and_small_tensors_stay_inside(tmp_path: Path) -> None:
    module = model()
    found = lowered(captured(module, X))
    saved = save_model(found, Own(found), tmp_path / "m.onnx")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["m.onnx", "m.onnx.data"]
    assert saved.data == tmp_path / "m.onnx.data"
    proto = onnx.load(os.fspath(tmp_path / "m.onnx"), load_external_data=False)
    held = proto.graph.initializer
    places = {tensor.name: {item.key: item.value for item in tensor.external_data} for tensor in held}
    assert all(int(place["offset"]) % saving.ALIGNMENT == 0 for place in places.values() if place)
    assert {name for name, place in places.items() if place} == {"a.weight.T", "b.weight.T"}
    agree(module, found, tmp_path / "again", X)


class Spy(Mapping[str, torch.Tensor]):
    """Values that count how often each is asked for; `fails` is one that cannot be had."""

    def __init__(self, values: Mapping[str, torch.Tensor], fails: str = "", error: Exception | None = None) -> None:
        self.values_, self.fails, self.error = values, fails, error
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> torch.Tensor:
        self.asked.append(key)
        if key == self.fails and self.error is not None:
            raise self.error
        return self.values_[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


@pytest.mark.parametrize("most", [100, 10**9], ids=["two files", "one file"])
def test_every_weight_is_asked_for_once(most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "MOST_IN_ONE_FILE", most)
    found = lowered(captured(model(), X))
    spy = Spy(Own(found))
    write_model(found, spy, tmp_path / "m.onnx")
    assert len(spy.asked) == len(set(spy.asked)) == 6


@pytest.mark.parametrize("most", [100, 10**9], ids=["two files", "one file"])
@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), KeyError("b.bias"), KeyboardInterrupt()],
    ids=["full", "gone", "stopped"],
)
def test_a_write_that_fails_leaves_what_was_there(
    most: int, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "MOST_IN_ONE_FILE", most)
    found = lowered(captured(model(), X))
    (tmp_path / "m.onnx").write_text("old")
    expected = ExportError if isinstance(error, Exception) else KeyboardInterrupt
    with pytest.raises(expected):
        save_model(found, Spy(Own(found), "b.bias", error), tmp_path / "m.onnx")  # type: ignore[arg-type]  # an interrupt, too
    assert [item.name for item in tmp_path.iterdir()] == ["m.onnx"]
    assert (tmp_path / "m.onnx").read_text() == "old"


def test_a_weight_of_another_shape_or_dtype_is_refused(tmp_path: Path) -> None:
    found = lowered(captured(model(), X))
    for wrong in (torch.zeros(9), torch.zeros(8, dtype=torch.float64)):
        values = {**Own(found), "b.bias": wrong}
        with pytest.raises(ExportError, match=r"b\.bias is .* the model has \(8,\) torch.float32"):
            save_model(found, values, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = lowered(captured(model(), X))
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("graphlab.exporting.saving.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ExportError, match="free"):
        save_model(found, Own(found), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = lowered(captured(model(), X))
    with pytest.raises(ExportError, match="cannot write"):
        save_model(found, Own(found), tmp_path / "file" / "m.onnx")


def test_metadata_is_added_to_a_finished_file(tmp_path: Path) -> None:
    found = lowered(captured(model(), X))
    save_model(found, Own(found), tmp_path / "m.onnx")
    add_metadata(tmp_path / "m.onnx", {"graphlab.source": "here", "graphlab.dtype": "float32"})
    proto = onnx.load(os.fspath(tmp_path / "m.onnx"))
    onnx.checker.check_model(proto, full_check=True)
    assert {item.key: item.value for item in proto.metadata_props} == {
        "graphlab.source": "here", "graphlab.dtype": "float32"
    }  # fmt: skip


def test_staged_folders_merge_when_they_are_whole(tmp_path: Path) -> None:
    (tmp_path / "out" / "unet").mkdir(parents=True)
    (tmp_path / "out" / "unet" / "model.onnx").write_text("old")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(ZeroDivisionError):
        _stage_and_fail(tmp_path / "out")
    assert (tmp_path / "out" / "unet" / "model.onnx").read_text() == "old"
    with staged_folder(tmp_path / "out") as made:
        (made / "unet").mkdir()
        (made / "unet" / "model.onnx").write_text("new")
    assert (tmp_path / "out" / "unet" / "model.onnx").read_text() == "new"
    assert sorted(item.name for item in tmp_path.rglob("*")) == ["mine.txt", "model.onnx", "out", "unet"]


def _stage_and_fail(folder: Path) -> None:
    with staged_folder(folder) as made:
        (made / "unet").mkdir()
        (made / "unet" / "model.onnx").write_text("new")
        raise ZeroDivisionError


def test_the_model_is_moved_after_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    replace = os.replace
    monkeypatch.setattr(
        "graphlab.exporting.saving.os.replace", lambda a, b: (moved.append(Path(b).name), replace(a, b))
    )
    with staged(tmp_path / "a.onnx") as folder:
        for name in ("a.onnx", "a.onnx.data", "z.txt"):
            (folder / name).write_text(name)
    assert moved == ["a.onnx.data", "z.txt", "a.onnx"]


@given(st.integers(0, 2**40))
def test_lengths_are_written_as_protobuf_writes_them(value: int) -> None:
    made = saving._varint(value)
    assert len(made) == max(1, -(-value.bit_length() // 7))
    read = sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(made))
    assert read == value
    assert all(byte & 0x80 for byte in made[:-1])
    assert not made[-1] & 0x80
