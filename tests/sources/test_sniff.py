"""Kinds of files by content, and one clear line for everything else."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from graphlab.errors import GraphlabError, SourceError, UnsafeSourceError
from graphlab.loading import load
from graphlab.sources.checkpoint import read_state_dict
from graphlab.sources.sniff import SourceKind, sniff

from . import payloads

_STATE = {"a.weight": torch.ones(2, 3), "a.bias": torch.ones(3, dtype=torch.float16)}


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def _gguf() -> bytes:
    import struct

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pair = text("general.architecture") + struct.pack("<I", 8) + text("flux")
    info = text("w") + struct.pack("<IQQIQ", 2, 64, 2, 2, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + pair + info
    return head + bytes(-len(head) % 32) + bytes(72)


@pytest.fixture
def good(tmp_path: Path, program: Path) -> dict[SourceKind, Path]:
    """One file of every kind, each under a misleading extension."""
    torch.save(_STATE, tmp_path / "zip.safetensors")
    torch.save(_STATE, tmp_path / "old.gguf", _use_new_zipfile_serialization=False)
    save_file(_STATE, tmp_path / "st.pt")
    (tmp_path / "gg.pt").write_bytes(_gguf())
    (tmp_path / "prog.safetensors").write_bytes(program.read_bytes())
    (tmp_path / "index.bin").write_text(json.dumps({"weight_map": {"a.weight": "st.pt", "a.bias": "st.pt"}}))
    folder, pipeline = tmp_path / "model", tmp_path / "pipe"
    folder.mkdir(), pipeline.mkdir()
    (folder / "config.json").write_text("{}")
    (pipeline / "model_index.json").write_text("{}")
    return {
        SourceKind.TORCH_SAVE: tmp_path / "zip.safetensors",
        SourceKind.TORCH_SAVE_LEGACY: tmp_path / "old.gguf",
        SourceKind.SAFETENSORS: tmp_path / "st.pt",
        SourceKind.GGUF: tmp_path / "gg.pt",
        SourceKind.EXPORTED_PROGRAM: tmp_path / "prog.safetensors",
        SourceKind.SHARD_INDEX: tmp_path / "index.bin",
        SourceKind.MODEL_FOLDER: folder,
        SourceKind.PIPELINE_FOLDER: pipeline,
    }


def test_every_kind_by_content(good: dict[SourceKind, Path]) -> None:
    assert {kind: sniff(path) for kind, path in good.items()} == {kind: kind for kind in good}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello, this is text\n", "is a text file"),
        (b"# a config\nkey: value\n", "is a text file"),
        ("grüße an alle".encode(), "is a text file"),
        (b"{not json", "is a text file"),
        (b"[1, 2]", "is JSON, but no index"),
        (b'{"schema": "graphlab.analysis/1"}', "is a report of graphlab"),
        (b'{"schema": 5}', "is JSON, but no index"),
        (b'{"_class_name": "UNet2DConditionModel"}', "is a configuration"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "Git LFS pointer"),
        (b"\x20\0\0\0ORTM" + bytes(64), "ONNX Runtime's own format"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "HDF5"),
        (b"PK\x03\x04" + bytes(100), "truncated zip"),
        (b"PK\x05\x06" + bytes(18), "empty or split zip"),
        (bytes(100), "unknown kind"),
        (pickle.dumps({"a": 1}), "pickle, but not one of torch.save"),
        (pickle.dumps({"a": 1})[:-2], "starts like a pickle"),
        (payloads.safetensors('{"a":1}')[:10], "truncated safetensors"),
        (b"\xff" * 7 + b"\x7f" + b"{}", "unknown kind"),
    ],
)  # fmt: skip
def test_one_clear_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as error:
        sniff(path)
    assert "\n" not in str(error.value)


def test_pickle_that_would_run_code(tmp_path: Path) -> None:
    for protocol in (2, 3, 4, 5):
        (tmp_path / "m.pt").write_bytes(payloads.pickled(tmp_path / "trap", protocol))
        with pytest.raises(UnsafeSourceError, match="eval"):
            sniff(tmp_path / "m.pt")
        assert not (tmp_path / "trap").exists()


def test_tar_of_ancient_torch(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.pt", "w") as file:
        file.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    with pytest.raises(SourceError, match="tar archive"):
        sniff(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/data/aotinductor/model/x.cpp": b""}, "AOTInductor"),
        ({"a/x.so": b"", "a/models/model.json": b""}, "AOTInductor package.*beside a program"),
        ({"a/models/one.json": b"", "a/models/two.json": b""}, r"several programs \(one, two\)"),
        ({"a/archive_format": b"pt2"}, "without a program"),
        ({"word/document.xml": b""}, "not one of torch"),
        ({"a/../../etc/passwd": b""}, "outside the archive"),
        ({"/etc/passwd": b""}, "outside the archive"),
    ],
)
def test_zip_archives_that_cannot_be_read(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        sniff(_zip(tmp_path / "m.pt2", members))


def test_truncated_zip(good: dict[SourceKind, Path], tmp_path: Path) -> None:
    data = good[SourceKind.TORCH_SAVE].read_bytes()
    for size in (10, len(data) // 2, len(data) - 1, len(data) - 30):
        (tmp_path / "t.pt").write_bytes(data[:size])
        with pytest.raises(SourceError, match="zip archive"):
            sniff(tmp_path / "t.pt")


def test_missing_file_folder_and_pipe(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        sniff(tmp_path / "no.pt")
    with pytest.raises(SourceError, match=r"neither model_index.json nor config.json"):
        sniff(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="no regular file"):
        sniff(tmp_path / "pipe")
    with pytest.raises(SourceError, match=r"cannot read|does not exist"):
        sniff(Path("a\0b"))


_BYTES = st.binary(max_size=300) | st.builds(
    bytes.__add__,
    st.sampled_from(
        [b"PK\x03\x04", b"GGUF\x03\0\0\0", b"\x80\x02", b"\x80\x04", b"{", b"\x08\x07", b"\x20\0\0\0\0\0\0\0{"]
    ),
    st.binary(max_size=200),
)


def _survives(path: Path) -> None:
    for read in (sniff, read_state_dict):
        line = _error_of(read, path)
        assert "\n" not in line


def _error_of(read: Callable[[Path], object], path: Path) -> str:
    try:
        read(path)
    except GraphlabError as error:
        return str(error)
    return ""


@given(_BYTES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "fuzz.pt"
    path.write_bytes(data)
    _survives(path)


@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_files(good: dict[SourceKind, Path], tmp_path: Path, data: st.DataObject) -> None:
    files = [path for path in good.values() if path.is_file()]
    content = bytearray(data.draw(st.sampled_from(files)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Headers and directories lie at both ends: most changes go there.
        at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 200) | st.integers(1, 200).map(lambda n: -n))
        if -len(content) <= at < len(content):
            content[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path / "fuzz.bin"
    path.write_bytes(bytes(content))
    _survives(path)


@pytest.mark.parametrize("source", ["", " ", "\t"])
def test_empty_source(source: str) -> None:
    with pytest.raises(SourceError, match="the source is empty"):
        load(source)
