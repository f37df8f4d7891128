"""The mask file: what docs/masks.md says, byte by byte, and every way in which a file can be wrong."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from graphlab.errors import GraphlabError
from graphlab.masks import MaskError, base_hash, read_mask, weight_hash, write_mask

BASE = {"b.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3).half()}
MASKS = {"b.weight": torch.arange(12).reshape(3, 4) % 3 == 0, "a.bias": torch.zeros(3, dtype=torch.bool)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound mask of BASE."""
    write_mask(tmp_path / "mask.safetensors", MASKS, BASE, about={"prompts": ["a", "b"], "fraction": 0.5})
    return tmp_path / "mask.safetensors"


def test_what_is_read_is_what_was_written(path: Path) -> None:
    mask = read_mask(path)
    assert list(mask.weights) == ["a.bias", "b.weight"]
    assert all(torch.equal(mask.bits(key), MASKS[key]) for key in MASKS)
    assert mask.about == {"prompts": ["a", "b"], "fraction": 0.5}
    item = mask.weights["b.weight"]
    assert (item.shape, item.dtype, item.set_entries, item.entries) == ((3, 4), "float32", 4, 12)
    assert item.density == 4 / 12
    assert mask.density == 4 / 15
    assert mask.empty == ("a.bias",)


def test_the_file_by_hand(path: Path) -> None:
    """Elements 0, 3, 6 of the first byte and 9 of the second; the safetensors library reads it."""
    tensors = load_file(str(path))
    assert tensors["b.weight"].tolist() == [1 + 8 + 64, 2]
    assert tensors["a.bias"].tolist() == [0]
    with safe_open(str(path), framework="pt") as file:
        texts = file.metadata()
    assert set(texts) == {"format", "version", "base_sha256", "weights", "about"}
    assert (texts["format"], texts["version"]) == ("graphlab.weight-mask", "1")
    data = BASE["b.weight"].numpy().tobytes()
    by_hand = hashlib.sha256(b"b.weight\0float32\x003,4\0" + data).hexdigest()
    other = hashlib.sha256(b"a.bias\0float16\x003\0" + BASE["a.bias"].numpy().tobytes()).hexdigest()
    assert json.loads(texts["weights"])["b.weight"] == {"dtype": "float32", "shape": [3, 4], "sha256": by_hand}
    assert texts["base_sha256"] == hashlib.sha256(bytes.fromhex(other) + bytes.fromhex(by_hand)).hexdigest()


def test_the_documented_writer_writes_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "masks.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, flags=re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/masks.md", "exec"), {})
    mask = read_mask(tmp_path / "mask.safetensors")
    assert mask.bits("w").tolist() == [True, False, True]
    write_mask("own.safetensors", {"w": mask.bits("w")}, {"w": torch.zeros(3)})
    own = read_mask("own.safetensors")
    assert (own.weights, own.base_sha256) == (mask.weights, mask.base_sha256)


def test_the_hash_is_over_name_dtype_shape_and_bytes_and_nothing_else() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    own = weight_hash("w", weight)
    others = [
        weight_hash("v", weight),
        weight_hash("w", weight.reshape(3, 2)),
        weight_hash("w", weight.view(torch.int32)),
        weight_hash("w", weight + 1),
    ]
    assert len({own, *others}) == 5
    assert weight_hash("w", weight.t().contiguous().t()) == own
    assert weight_hash("w", torch.nn.Parameter(weight)) == own
    scalar, empty = weight_hash("w", torch.tensor(1.0)), weight_hash("w", torch.empty(0))
    assert scalar == hashlib.sha256(b"w\0float32\0\0" + torch.tensor(1.0).numpy().tobytes()).hexdigest()
    assert empty == hashlib.sha256(b"w\0float32\x000\0").hexdigest()


def test_same_input_same_bytes(path: Path, tmp_path: Path) -> None:
    turned = dict(reversed(MASKS.items())), dict(reversed(BASE.items()))
    write_mask(tmp_path / "again.safetensors", *turned, about={"fraction": 0.5, "prompts": ["a", "b"]})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


class Lazy(Mapping[str, torch.Tensor]):
    """Masks made when asked for; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getitem__(self, key: str) -> torch.Tensor:
        self.asked.append(key)
        return MASKS[key]

    def __iter__(self) -> Iterator[str]:
        return iter(MASKS)

    def __len__(self) -> int:
        return len(MASKS)


def test_each_mask_is_asked_for_once(path: Path, tmp_path: Path) -> None:
    lazy = Lazy()
    write_mask(tmp_path / "lazy.safetensors", lazy, BASE)
    assert lazy.asked == ["a.bias", "b.weight"]
    assert read_mask(tmp_path / "lazy.safetensors").about == {}


def rewritten(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], None]) -> Path:
    """The file again with tensors and metadata changed."""
    tensors = load_file(str(path))
    with safe_open(str(path), framework="pt") as file:
        texts = dict(file.metadata())
    change(tensors, texts)
    save_file(tensors, str(path), metadata=texts)
    return path


def described(texts: dict[str, str], key: str, **values: Any) -> None:
    """Changes the description of one weight; the hash of the base follows."""
    weights = json.loads(texts["weights"])
    weights[key] |= values
    texts["weights"] = json.dumps(weights)
    if "sha256" not in values:
        texts["base_sha256"] = base_hash({key: item["sha256"] for key, item in weights.items()})


def u8(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8)


DAMAGE: dict[str, tuple[Callable[[dict[str, torch.Tensor], dict[str, str]], object], str]] = {
    "unknown tensor": (lambda t, m: t.update(c=u8(1)), "does not describe 'c'"),
    "missing tensor": (lambda t, m: t.pop("a.bias"), "describes 'a.bias', which it does not mask"),
    "no tensors": (lambda t, m: t.clear(), "masks no weight"),
    "bool tensor": (lambda t, m: t.update({"a.bias": torch.zeros(1).bool()}), "stored as bool"),
    "unpacked": (lambda t, m: t.update({"b.weight": u8(*[1] * 12)}), "has 12 bytes; 2 are expected"),
    "one byte short": (lambda t, m: t.update({"b.weight": u8(1)}), "has 1 bytes; 2 are expected"),
    "two axes": (lambda t, m: t.update({"b.weight": u8(1, 1).reshape(1, 2)}), "stored as uint8 (1, 2)"),
    "padding": (lambda t, m: t.update({"b.weight": u8(1, 16)}), "padding bits of its last byte"),
    "nothing set": (lambda t, m: t.update({"b.weight": u8(0, 0)}), "no entry of the mask is set"),
    "no format": (lambda t, m: m.pop("format"), "its metadata names no format"),
    "a checkpoint": (lambda t, m: m.update(format="pt"), "its metadata names format 'pt'"),
    "no version": (lambda t, m: m.pop("version"), "of no version"),
    "newer": (lambda t, m: m.update(version="2"), "of version '2'; version '1' is read here"),
    "no weights": (lambda t, m: m.pop("weights"), "its metadata lacks weights"),
    "no base": (lambda t, m: m.pop("base_sha256"), "its metadata lacks base_sha256"),
    "extra metadata": (lambda t, m: m.update(extra="1"), "holds 'extra'"),
    "weights no JSON": (lambda t, m: m.update(weights="{"), "no sound JSON"),
    "weights a list": (lambda t, m: m.update(weights="[]"), "a JSON list, expected an object"),
    "about no JSON": (lambda t, m: m.update(about="NaN"), "no sound JSON (NaN is no number"),
    "key twice": (lambda t, m: m.update(weights='{"a.bias": 1, "a.bias": 2}'), "'a.bias' stands twice"),
    "other shape": (lambda t, m: described(m, "b.weight", shape=[3, 6]), "3 are expected for shape [3, 6]"),
    "shape of text": (lambda t, m: described(m, "b.weight", shape=["3"]), "which is none"),
    "negative shape": (lambda t, m: described(m, "b.weight", shape=[-1]), "which is none"),
    "unknown dtype": (lambda t, m: described(m, "b.weight", dtype="float33"), "dtype 'float33'"),
    "hash of text": (lambda t, m: described(m, "b.weight", sha256="x"), "no SHA-256"),
    "other hash": (lambda t, m: described(m, "b.weight", sha256="0" * 64), "does not follow from the hashes"),
    "extra field": (lambda t, m: described(m, "b.weight", more=1), "not described by dtype, shape and sha256"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(path: Path, name: str) -> None:
    change, words = DAMAGE[name]
    with pytest.raises(MaskError, match=re.escape(words)):
        read_mask(rewritten(path, lambda tensors, texts: (change(tensors, texts), None)[1]))


def test_a_file_cut_anywhere_is_an_error(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(GraphlabError):
            read_mask(path)


def test_a_key_twice_in_the_header(path: Path) -> None:
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + size].replace(b'"a.bias": {"dtype": "U8"', b'"b.weight": {"dtype": "U8"')
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    with pytest.raises(GraphlabError, match="a key stands twice"):
        read_mask(path)


def test_no_mask_at_all(tmp_path: Path) -> None:
    with pytest.raises(GraphlabError, match="does not exist"):
        read_mask(tmp_path / "none.safetensors")
    torch.save(MASKS, tmp_path / "mask.pt")
    with pytest.raises(MaskError, match=r"is a torch\.save archive, expected a mask"):
        read_mask(tmp_path / "mask.pt")
    save_file({"w": torch.ones(1)}, str(tmp_path / "plain.safetensors"))
    with pytest.raises(MaskError, match="names no format"):
        read_mask(tmp_path / "plain.safetensors")


WRONG: dict[str, tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], str]] = {
    "nothing": ({}, BASE, "no mask to write"),
    "unknown key": ({"b.wieght": MASKS["b.weight"]}, BASE, "no weight 'b.wieght' to mask (did you mean 'b.weight'?"),
    "shape": ({"b.weight": MASKS["b.weight"].t()}, BASE, "has shape (4, 3), the weight (3, 4)"),
    "dtype": ({"b.weight": MASKS["b.weight"].float()}, BASE, "has dtype float32, expected bool"),
    "nothing set": ({"a.bias": MASKS["a.bias"]}, BASE, "no entry of any mask is set"),
    "meta": ({"w": torch.ones(2).bool()}, {"w": torch.empty(2, device="meta")}, "on the meta device"),
    "sparse": ({"w": torch.ones(2).bool()}, {"w": torch.ones(2).to_sparse()}, "sparse_coo"),
    "zero byte": ({"w\0": torch.ones(2).bool()}, {"w\0": torch.ones(2)}, "zero byte"),
    "metadata": ({"__metadata__": torch.ones(2).bool()}, {"__metadata__": torch.ones(2)}, "no weight may be called"),
    "surrogate": ({"\ud800": torch.ones(2).bool()}, {"\ud800": torch.ones(2)}, "cannot be written as UTF-8"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nothing_wrong_is_written(tmp_path: Path, name: str) -> None:
    masks, base, words = WRONG[name]
    with pytest.raises(MaskError, match=re.escape(words)):
        write_mask(tmp_path / "mask.safetensors", masks, base)
    assert list(tmp_path.iterdir()) == []


def test_what_is_said_about_it_must_be_json(tmp_path: Path) -> None:
    for about in ({"seed": float("nan")}, {"seed": torch.ones(1)}):
        with pytest.raises(MaskError, match="no JSON"):
            write_mask(tmp_path / "mask.safetensors", MASKS, BASE, about=about)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(MaskError):
        write_mask(path, {"b.weight": MASKS["b.weight"], "a.bias": torch.ones(4).bool()}, BASE)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="cannot write"):
        write_mask(tmp_path / "none" / "mask.safetensors", MASKS, BASE)
    with pytest.raises(MaskError, match="cannot write"):
        write_mask(tmp_path, MASKS, BASE)
