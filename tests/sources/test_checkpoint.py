"""State dicts: shapes and bytes without weights, nesting, prefixes, shards, and everything malformed."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from graphlab.errors import SourceError, UnknownArchitectureError, UnsafeSourceError
from graphlab.sources.checkpoint import load_trusted_module, read_state_dict
from graphlab.sources.quantized import compute_dtype, separate
from graphlab.sources.tensors import TensorMeta

from . import payloads

_STATE = {
    "a.weight": torch.ones(2, 3),
    "a.bias": torch.ones(3, dtype=torch.float16),
    "b": torch.ones(4, 4, dtype=torch.bfloat16)[1:, ::2],
    "c": torch.tensor(3),
    "d": torch.ones(5, dtype=torch.float8_e4m3fn),
}
_METAS = {
    "a.weight": TensorMeta((2, 3), "float32", 24),
    "a.bias": TensorMeta((3,), "float16", 6),
    "b": TensorMeta((3, 2), "bfloat16", 12),
    "c": TensorMeta((), "int64", 8),
    "d": TensorMeta((5,), "float8_e4m3fn", 5),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_torch_save(tmp_path: Path, legacy: bool, protocol: int) -> None:
    path = tmp_path / "x.pt"
    torch.save(_STATE, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
    index = read_state_dict(path)
    assert index.tensors == _METAS
    assert (index.nbytes, index.values, index.assumptions) == (55, 21, ())


def test_safetensors(tmp_path: Path) -> None:
    save_file({key: value.contiguous() for key, value in _STATE.items()}, tmp_path / "x", metadata={"who": "me"})
    index = read_state_dict(tmp_path / "x")
    assert dict(index.tensors) == _METAS
    assert index.metadata == {"who": "me"}


@pytest.mark.parametrize(
    ("wrap", "assumption"),
    [
        (lambda s: {"state_dict": s, "epoch": 3}, "entry 'state_dict'"),
        (lambda s: {"model": {"state_dict": s}}, "entry 'model'"),
        (lambda s: {"model": s, "ema": s, "opt": [1]}, "entry 'ema', ignoring model"),
        (lambda s: {"params_ema": s, "params": s}, "entry 'params_ema', ignoring params"),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, "prefix 'module.'"),
        (lambda s: {f"_orig_mod.module.{k}": v for k, v in s.items()}, "prefix '_orig_mod.'"),
    ],
)
def test_nesting_and_prefixes(tmp_path: Path, wrap: Any, assumption: str) -> None:
    torch.save(wrap(_STATE), tmp_path / "x.ckpt")
    index = read_state_dict(tmp_path / "x.ckpt")
    assert index.tensors == _METAS
    assert any(assumption in item for item in index.assumptions)


def test_weights_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.pt"
    torch.save({"w": torch.zeros(16 << 20)}, path)
    tracemalloc.start()
    index = read_state_dict(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert index.nbytes == 64 << 20
    assert peak < 4 << 20


@pytest.mark.parametrize("legacy", [False, True])
def test_foreign_classes_are_not_imported(tmp_path: Path, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "strange_module.py").write_text(
        f"import pathlib\npathlib.Path({str(tmp_path / 'trap')!r}).touch()\nclass Config(dict): pass\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    from strange_module import Config  # type: ignore[import-not-found]  # written above

    torch.save(
        {"state_dict": _STATE, "hyper": Config(a=1)}, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy
    )
    del sys.modules["strange_module"]
    (tmp_path / "trap").unlink()
    assert read_state_dict(tmp_path / "x.pt").tensors == _METAS
    assert "strange_module" not in sys.modules
    assert not (tmp_path / "trap").exists()


def test_training_checkpoint_with_numpy_and_optimizer(tmp_path: Path) -> None:
    import numpy as np

    model = torch.nn.Linear(2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    extra = {
        "loss": np.float64(0.5),
        "history": np.arange(3),
        "path": tmp_path,
        "optimizer_states": [optimizer.state_dict()],
    }
    torch.save({"epoch": 1, "state_dict": model.state_dict(), **extra}, tmp_path / "x.ckpt")
    index = read_state_dict(tmp_path / "x.ckpt")
    assert index.tensors == {"weight": TensorMeta((3, 2), "float32", 24), "bias": TensorMeta((3,), "float32", 12)}


@pytest.mark.parametrize("legacy", [False, True])
def test_payload_beside_the_weights_stays_inert(tmp_path: Path, legacy: bool) -> None:
    state = {"state_dict": _STATE, "bad": payloads.Touch(tmp_path / "trap")}
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    assert read_state_dict(tmp_path / "x.pt").tensors == _METAS
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_whole_module_is_refused_unless_trusted(tmp_path: Path, legacy: bool, nested: bool) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3))
    torch.save({"model": model} if nested else model, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeSourceError, match=r"Sequential.*--trust-pickle"):
        read_state_dict(tmp_path / "x.pt")
    loaded = load_trusted_module(tmp_path / "x.pt")
    assert isinstance(loaded, torch.nn.Sequential)
    assert not loaded.training


def test_trusting_what_is_no_module(tmp_path: Path) -> None:
    torch.save(_STATE, tmp_path / "x.pt")
    with pytest.raises(SourceError, match="not a module"):
        load_trusted_module(tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(b"nonsense")
    with pytest.raises(SourceError, match="cannot load"):
        load_trusted_module(tmp_path / "y.pt")


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, {}, 3, torch.ones(2), {"optimizer": {"lr": 1}}])
def test_no_state_dict(tmp_path: Path, value: Any) -> None:
    torch.save(value, tmp_path / "x.pt")
    with pytest.raises(SourceError, match="state dict"):
        read_state_dict(tmp_path / "x.pt")


def _replace_pickle(path: Path, target: Path, old: bytes, new: bytes) -> Path:
    return payloads.rewrite(path, target, lambda n, d: d.replace(old, new) if n.endswith("data.pkl") else d)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.ones(3), "holds a single tensor, not"),
        (torch.nn.Parameter(torch.ones(3)), "holds a single tensor, not"),
        ([1, 2, 3], "holds a list of 3 items, not"),
        ((torch.ones(1),), "holds a tuple of 1 item, not"),
        (torch.Size([2, 3]), "holds a tuple of 2 items, not"),
        (2.5, "holds a number, not"),
        (True, "holds a boolean, not"),
        ("weights", "holds a text, not"),
        (None, r"holds nothing \(None\), not"),
        (torch.float16, "holds an object of torch's, not"),
        ({}, "its dictionary is empty"),
    ],
)
def test_other_values_in_words(tmp_path: Path, value: Any, words: str, legacy: bool) -> None:
    path = tmp_path / "x.pt"
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(SourceError, match=words) as error:
        read_state_dict(path)
    payloads.one_line(error)


def test_tensors_that_lie(tmp_path: Path) -> None:
    good = tmp_path / "x.pt"
    torch.save({"w": torch.ones(7, 9)}, good)
    with pytest.raises(SourceError, match="outside its storage"):
        read_state_dict(_replace_pickle(good, tmp_path / "a.pt", b"K\x07K\x09\x86", b"K\x07K\x77\x86"))
    with pytest.raises(SourceError, match="252 bytes"):
        read_state_dict(payloads.rewrite(good, tmp_path / "b.pt", lambda n, d: d[:-1] if n.endswith("data/0") else d))
    with pytest.raises(SourceError, match="needs 280 bytes"):
        read_state_dict(_replace_pickle(good, tmp_path / "c.pt", b"K\x3ftq", b"K\x46tq"))


def test_huge_memo_index(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("x/data.pkl", b"\x80\x02}r\xff\xff\xff\x7f.")
    with pytest.raises(SourceError, match="memo index"):
        read_state_dict(tmp_path / "x.pt")


_ENTRY = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ("{" + _ENTRY + "}", b"", "truncated or too long"),
        ("{" + _ENTRY + "}", bytes(9), "truncated or too long"),
        ("{" + _ENTRY + "," + _ENTRY.replace('"w"', '"v"') + "}", bytes(8), "overlap"),
        ("{" + _ENTRY + ',"v":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}}', bytes(16), "leave a gap"),
        ("{" + _ENTRY + "," + _ENTRY + "}", bytes(8), "twice"),
        ('{"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', bytes(8), "cannot have bytes 0 to 8"),
        ('{"w":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', bytes(8), "cannot have"),
        ('{"w":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}', bytes(8), "dtype 'F99'"),
        ('{"w":{"dtype":"F32","shape":[2]}}', bytes(8), "incomplete"),
        ('{"w":3}', b"", "incomplete"),
        ('{"w"', b"", "not sound JSON"),
        ("{}", b"", "holds no tensors"),
        ('{"__metadata__":{"a":"b"}}', b"", "holds no tensors"),
        ("{" + "[" * 100_000 + "}", b"", "not sound JSON"),
    ],
)
def test_bad_safetensors(tmp_path: Path, header: str, data: bytes, message: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(payloads.safetensors(header, data))
    with pytest.raises(SourceError, match=message):
        read_state_dict(tmp_path / "x.safetensors")


def _sharded(folder: Path) -> Path:
    save_file({"a.weight": _STATE["a.weight"]}, folder / "one.safetensors")
    torch.save({"a.bias": _STATE["a.bias"]}, folder / "two.bin")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a.weight": "one.safetensors", "a.bias": "two.bin"}}))
    return index


def test_shards(tmp_path: Path) -> None:
    index = read_state_dict(_sharded(tmp_path))
    assert index.tensors == {key: _METAS[key] for key in ("a.weight", "a.bias")}
    assert index.layout == "2 shards"


@pytest.mark.parametrize("name", ["../one.safetensors", "/etc/passwd", "..", "a/b", "C:\\x", "x\0y"])
def test_shard_outside_the_folder(tmp_path: Path, name: str) -> None:
    index = _sharded(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a.weight": name}}))
    with pytest.raises(UnsafeSourceError, match="not in its folder"):
        read_state_dict(index)


def test_shards_that_disagree(tmp_path: Path) -> None:
    index = _sharded(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a.weight": "one.safetensors", "x": "one.safetensors"}}))
    with pytest.raises(SourceError, match="x is not in its shard"):
        read_state_dict(index)
    index.write_text(json.dumps({"weight_map": {"a.weight": 3}}))
    with pytest.raises(SourceError, match="does not name files"):
        read_state_dict(index)
    _sharded(tmp_path)
    (tmp_path / "two.bin").unlink()
    with pytest.raises(SourceError, match=r"shard two.bin is missing"):
        read_state_dict(index)
    _sharded(tmp_path)
    (tmp_path / "two.bin").write_bytes(b"<html>")
    with pytest.raises(SourceError, match="web page"):
        read_state_dict(index)


def _gguf(tensors: list[tuple[str, tuple[int, ...], int]], data: int, version: int = 3) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), 2)
    head += text("general.architecture") + struct.pack("<I", 8) + text("flux")
    head += text("list") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    for name, shape, kind in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, 0)
    return head + bytes(-len(head) % 32) + bytes(data)


def test_gguf(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(_gguf([("w", (3, 64), 2), ("k", (2, 512), 12), ("n", (5,), 0)], 576))
    index = read_state_dict(tmp_path / "x")
    assert index.tensors == {
        "w": TensorMeta((3, 64), "gguf:q4_0", 3 * 2 * 18),
        "k": TensorMeta((2, 512), "gguf:q4_k", 2 * 2 * 144),
        "n": TensorMeta((5,), "float32", 20),
    }
    assert index.metadata["general.architecture"] == "flux"
    assert "gguf:q4_0, 108 bytes" in " ".join(separate(index).notes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_gguf([("w", (64,), 2)], 10), "truncated"),
        (_gguf([("w", (33,), 2)], 100), "does not fill blocks of 32"),
        (_gguf([("w", (32,), 999)], 100), "GGUF type 999"),
        (_gguf([], 0, version=9), "version 9"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "claims"),
        (b"GGUF\x03\0", "truncated"),
        (_gguf([("w", (32,), 2), ("w", (32,), 2)], 100), "twice"),
    ],
)
def test_bad_gguf(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SourceError, match=message):
        read_state_dict(tmp_path / "x")


def test_four_bit_companions_belong_to_their_weight(tmp_path: Path) -> None:
    save_file(
        {
            "l.weight": torch.zeros(32, 1, dtype=torch.uint8),
            "l.weight.absmax": torch.zeros(1),
            "l.weight.quant_map": torch.zeros(16),
            "l.weight.quant_state.bitsandbytes__nf4": torch.zeros(60, dtype=torch.uint8),
            "l.bias": torch.zeros(8),
        },
        tmp_path / "x",
    )
    found = separate(read_state_dict(tmp_path / "x"))
    assert found.tensors["l.weight"] == TensorMeta((64,), "4-bit", 32 + 4 + 64 + 60, packed=True)
    assert set(found.tensors) == {"l.weight", "l.bias"}
    assert compute_dtype(found.tensors)[0] == "bfloat16"


def test_eight_bit_companions(tmp_path: Path) -> None:
    state = {"l.weight": torch.zeros(4, 2, dtype=torch.int8), "l.SCB": torch.zeros(4), "m.weight": torch.zeros(2, 2)}
    save_file(state, tmp_path / "x")
    found = separate(read_state_dict(tmp_path / "x"))
    assert found.tensors["l.weight"] == TensorMeta((4, 2), "int8", 8 + 16)
    assert "bitsandbytes int8 weights: 1" in found.notes[0]


def test_hidden_layouts_are_refused(tmp_path: Path) -> None:
    save_file({"l.qweight": torch.zeros(2, dtype=torch.int32), "l.scales": torch.zeros(1)}, tmp_path / "x")
    with pytest.raises(UnknownArchitectureError, match="GPTQ"):
        separate(read_state_dict(tmp_path / "x"))


def test_cyclic_pickle(tmp_path: Path) -> None:
    loop: dict[str, Any] = {}
    loop["model"] = loop
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
        file.writestr("x/data.pkl", pickle.dumps(loop))
    with pytest.raises(SourceError, match="no state dict"):
        read_state_dict(tmp_path / "x.pt")
