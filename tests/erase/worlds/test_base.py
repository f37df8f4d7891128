"""The base: its U-Net as it is built, its encoder, and its file."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from graphlab.erase.errors import EraseError
from graphlab.erase.images import Sampling, draw
from graphlab.erase.noise import CLEAN, Parametrisation
from graphlab.erase.worlds.base import KINDS, Base, BaseConfig, config_of, new_base
from graphlab.erase.worlds.base_file import LIMIT_BYTES, load_base, save_base
from graphlab.erase.worlds.known import WORLDS
from graphlab.erase.worlds.prompts import EMPTY
from graphlab.erase.worlds.text_encoder import TextEncoder
from graphlab.errors import GraphlabError

CASES = [(world, kind) for world in WORLDS for kind in KINDS]


def small(world: str = "digits", kind: Parametrisation = "epsilon") -> Base:
    return new_base(BaseConfig(world, kind, (8, 16), heads=2), 1)


def about(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as opened:
        assert list(opened.metadata()) == ["graphlab"]
        return dict(json.loads(opened.metadata()["graphlab"]))


def write(path: Path, tensors: dict[str, torch.Tensor], said: object) -> None:
    save_file(tensors, path, metadata={"graphlab": said if isinstance(said, str) else json.dumps(said)})


@pytest.mark.parametrize("world", WORLDS)
def test_heads_are_heads_and_attention_is_at_8x8_alone(world: str) -> None:
    base = new_base(config_of(world), 0)
    found: dict[str, tuple[int, int]] = {}

    def note(name: str) -> object:
        def hook(module: Attention, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
            found[name] = (module.heads, given[0].shape[1])

        return hook

    for name, module in base.unet.named_modules():
        if isinstance(module, Attention):
            module.register_forward_hook(note(name))
    base.denoiser().noise(torch.zeros(2, *base.world.shape), base.schedule.at(0.0), base.empty)
    assert sum(name.endswith("attn2") for name in found) == {"digits": 3, "layout": 4}[world]
    assert {tokens for _, tokens in found.values()} == {64}
    assert {heads for heads, _ in found.values()} == {4}
    assert 2 <= base.config.heads <= 4
    for module in base.unet.modules():
        if isinstance(module, Attention):
            assert module.to_q.out_features % module.heads == 0
            assert module.inner_dim == module.to_q.out_features == module.to_q.in_features


@pytest.mark.parametrize("world", WORLDS)
def test_sizes(world: str) -> None:
    base = new_base(config_of(world), 0)
    unet = sum(value.numel() for value in base.unet.parameters())
    encoder = sum(value.numel() for value in base.encoder.parameters())
    assert 500_000 < unet < 800_000
    assert 20_000 < encoder <= 100_000
    assert len(base.encoder.layers) == 2
    assert base.encode([EMPTY]).shape == (1, base.language.tokens, 32)
    assert 4 * (unet + encoder) < LIMIT_BYTES


def test_the_same_word_means_something_else_beside_others() -> None:
    base = small()
    three, after = base.encode(["the digit three", "comes after three"])
    assert not torch.allclose(three[3], after[3], atol=1e-3)
    order = base.encode(["roman iv", "roman vi"])
    assert not torch.allclose(order[0].sum(0), order[1].sum(0), atol=1e-3)


def test_prompts_are_encoded_one_by_one() -> None:
    base = small()
    together = base.encode(["roman v", EMPTY, "drawn acht"])
    assert torch.allclose(together[1:2], base.empty, atol=1e-6)
    assert torch.allclose(together[2:], base.encode(["drawn acht"]), atol=1e-6)
    assert not together.requires_grad


def test_erasing_takes_the_diffusers_model_and_named_prompts() -> None:
    base = small()
    assert type(base.model.module).__name__ == "UNet2DConditionModel"
    assert base.model.module is base.unet
    assert base.model.kind == base.denoiser().kind == "epsilon"
    named = base.named(["the digit four", "roman iv"])
    assert torch.equal(named.concept["roman iv"], base.encode(["roman iv"]))
    assert torch.equal(named.empty, base.empty)


def test_an_encoder_refuses_other_shapes() -> None:
    with pytest.raises(GraphlabError, match=r"expected \(prompts, 7\)"):
        TextEncoder(41, 7)(torch.zeros(2, 8, dtype=torch.int64))
    with pytest.raises(GraphlabError, match="32 in 5 heads"):
        TextEncoder(41, 7, heads=5)


@pytest.mark.parametrize(("world", "kind"), CASES, ids=lambda part: str(part))
def test_a_file_gives_the_base_back_to_the_bit(world: str, kind: Parametrisation, tmp_path: Path) -> None:
    base = small(world, kind)
    base = Base(base.config, base.unet, base.encoder, {"steps": "7", "note": "zwölf"})
    path = tmp_path / "base.safetensors"
    save_base(base, path)
    loaded = load_base(path)
    assert (loaded.config, loaded.log) == (base.config, base.log)
    for module, other in ((base.unet, loaded.unet), (base.encoder, loaded.encoder)):
        states = module.state_dict(), other.state_dict()
        assert list(states[0]) == list(states[1])
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    how = Sampling(base.world.shape, steps=3)
    prompts = [base.language.prompt({base.world.attributes[-1].name: (label, 3)}) for label in (0, 7)]
    images = [draw(one.denoiser(), one.encode(prompts), one.empty, [1, 2], how) for one in (base, loaded)]
    assert torch.equal(*images)
    assert torch.isfinite(images[0]).all()
    assert not any(value.requires_grad for value in loaded.encoder.parameters())
    assert all(value.requires_grad for value in loaded.unet.parameters())
    save_base(loaded, tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    save_base(small("layout", "flow"), tmp_path / "base.safetensors")
    said = about(tmp_path / "base.safetensors")
    assert said["format"] == "graphlab.erase-base"
    assert said["config"] == {"world": "layout", "kind": "flow", "channels": [8, 16], "heads": 2}
    assert said["schedule"] == {"kind": "flow", "shift": 1.0, "scale": 1000.0}
    assert said["language"]["pieces"]["saltire"] == ["salt", "ire"]
    assert "a saltire" in said["language"]["phrases"]["glyph"][5]


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("format", "other", "no graphlab.erase-base of version 1"),
        ("version", "2", "no graphlab.erase-base of version 1"),
        ("config", [1], "config or log is none of a base"),
        ("config", {"channels": [8, 16]}, "config or log is none of a base"),
        ("config", {"world": "digits", "channels": 8}, "config or log is none of a base"),
        ("config", {"world": "digits", "channels": [8, 16], "depth": 3}, "config or log is none of a base"),
        ("config", {"world": "faces", "channels": [8, 16]}, "no world 'faces'"),
        ("config", {"world": "digits", "channels": [8, 24], "heads": 2}, "down_blocks.* is "),
        ("log", 7, "config or log is none of a base"),
        ("language", {}, "language is not the one of this version"),
        ("schedule", {"kind": "flow"}, "schedule is not the one of this version"),
    ],
    ids=["format", "version", "list", "world", "number", "depth", "faces", "channels", "log", "language", "schedule"],
)
def test_another_file_is_refused(key: str, value: object, match: str, tmp_path: Path) -> None:
    path = tmp_path / "base.safetensors"
    save_base(small(), path)
    write(path, load_file(path), {**about(path), key: value})
    with pytest.raises(EraseError, match=match):
        load_base(path)


def test_metadata_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.safetensors"
    for said, match in (("{", "cannot be read"), ("[1]", "no graphlab.erase-base")):
        write(path, {"w": torch.zeros(1)}, said)
        with pytest.raises(EraseError, match=match):
            load_base(path)


def test_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.safetensors"
    save_base(small(), path)
    whole, said, tensors = path.read_bytes(), about(path), load_file(path)
    path.write_bytes(whole[:-100])
    with pytest.raises(EraseError, match="cannot be read"):
        load_base(path)
    name = "unet.conv_in.weight"
    write(path, {key: value for key, value in tensors.items() if key != name}, said)
    with pytest.raises(EraseError, match=r"weights differ in conv_in\.weight"):
        load_base(path)
    write(path, {**tensors, name: tensors[name].double()}, said)
    with pytest.raises(EraseError, match=r"conv_in\.weight is \(8, 1, 3, 3\) torch\.float64"):
        load_base(path)
    write(path, {**tensors, "other": torch.zeros(1)}, said)
    with pytest.raises(EraseError, match="other is no weight of a base"):
        load_base(path)
    with pytest.raises(EraseError, match="cannot be read"):
        load_base(tmp_path / "missing.safetensors")


def test_a_base_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="the limit is 4,000,000"):
        save_base(new_base(BaseConfig("digits", "epsilon", (64, 64)), 0), tmp_path / "base.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "base.safetensors").mkdir()
    with pytest.raises(EraseError, match="cannot write"):
        save_base(new_base(BaseConfig("digits", "epsilon", (8, 16), 2), 0), tmp_path / "base.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["base.safetensors"]


def test_a_configuration_that_cannot_be_is_refused() -> None:
    with pytest.raises(EraseError, match="cannot predict 'sample'"):
        BaseConfig("digits", "sample")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(EraseError, match=r"channels \(30, 64\) in 4 heads"):
        BaseConfig("digits", "epsilon", (30, 64))
    wrong: list[tuple[Any, Any]] = [
        ((8.0, 16.0), 2),
        ((8, 16, 32), 2),
        ((8, 4_000_000), 2),
        ((8, 16), 0),
        ((8, 16), "2"),
    ]
    for channels, heads in wrong:
        with pytest.raises(EraseError, match="two, and all from 1 to 1024"):
            BaseConfig("digits", "epsilon", channels, heads)


def test_weights_come_from_the_seed_and_a_copy_is_its_own() -> None:
    before = torch.get_rng_state()
    first, second, other = small(), small(), new_base(BaseConfig("digits", "epsilon", (8, 16), heads=2), 2)
    assert torch.equal(before, torch.get_rng_state())
    weight = first.unet.conv_in.weight
    assert torch.equal(weight, second.unet.conv_in.weight)
    assert not torch.equal(weight, other.unet.conv_in.weight)
    copied = first.copy()
    with torch.no_grad():
        copied.unet.conv_in.weight.zero_()
    assert weight.abs().sum() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_levels_are_those_of_training(kind: Parametrisation) -> None:
    base = small("digits", kind)
    levels = base.schedule.levels(25)
    if kind == "flow":
        assert levels[0].alpha == 0
    else:
        assert levels[0].log_snr == pytest.approx(-4)
        assert base.schedule.told(0).log_snr == pytest.approx(3)
        steps = [after.log_snr - before.log_snr for before, after in pairwise(levels)]
        assert max(steps) - min(steps) < 1e-9
    assert levels[-1].log_snr < CLEAN.log_snr
