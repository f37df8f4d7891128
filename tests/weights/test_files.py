"""Weights from files and folders: every kind read back bit for bit, and what does not fit refused by name."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from graphlab.errors import GraphlabError, SourceError, UnsafeSourceError
from graphlab.program import Program
from graphlab.weights import MissingWeight, Values, WeightsError, weight_source
from graphlab.weights import files as files_module
from graphlab.weights.casting import cast
from graphlab.weights.files import Safetensors, opened
from tests.weights.toys import held, on_meta, real, stage, stripped, with_values, workload

STATE = real().state_dict()


def untied(state: Mapping[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    """A copy of each tensor, the tied table under its first key alone, as libraries save it."""
    return {prefix + key: tensor.clone() for key, tensor in state.items() if key != "head.weight"}


def safetensors(folder: Path) -> Path:
    save_file(untied(STATE), str(folder / "w.safetensors"))
    return folder / "w.safetensors"


def prefixed(folder: Path) -> Path:
    others = {"vae.conv.weight": torch.ones(3), "vae.norm.weight": torch.ones(3)}
    save_file({**untied(STATE, "net.model."), **others}, str(folder / "all.safetensors"))
    return folder / "all.safetensors"


def sharded(folder: Path) -> Path:
    state = untied(STATE)
    halves = {"a.safetensors": list(state)[:5], "b.safetensors": list(state)[5:]}
    for name, keys in halves.items():
        save_file({key: state[key] for key in keys}, str(folder / name))
    places = {key: name for name, keys in halves.items() for key in keys}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder / "model.safetensors.index.json"


def pickled(folder: Path) -> Path:
    torch.save(STATE, folder / "w.pt")
    return folder / "w.pt"


def legacy(folder: Path) -> Path:
    torch.save(STATE, folder / "w.bin", _use_new_zipfile_serialization=False)
    return folder / "w.bin"


def trained(folder: Path) -> Path:
    torch.save({"step": 3, "state_dict": {f"module.{key}": value for key, value in STATE.items()}}, folder / "w.ckpt")
    return folder / "w.ckpt"


def exported(folder: Path) -> Path:
    program = with_values().exported
    assert program is not None
    torch.export.save(program, folder / "w.pt2")
    return folder / "w.pt2"


def model_folder(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    save_file(untied(STATE), str(folder / "model.safetensors"))
    save_file({key: value.half() for key, value in untied(STATE).items()}, str(folder / "model.fp16.safetensors"))
    return folder


KINDS = [safetensors, prefixed, sharded, pickled, legacy, trained, exported, model_folder]


@pytest.fixture(scope="module")
def program() -> Program:
    return on_meta()


@pytest.mark.parametrize("write", KINDS, ids=lambda write: write.__name__)
def test_round_trip(write: Callable[[Path], Path], tmp_path: Path, program: Program) -> None:
    source = weight_source(workload(), "block", str(write(tmp_path)))
    assert not source.is_random
    values, module = Values(program, source), real()
    tensors = {**dict(module.named_buffers()), **dict(module.named_parameters(remove_duplicate=False))}
    for key in values:
        assert torch.equal(values[key], tensors[key]), key


@pytest.mark.parametrize("write", [safetensors, pickled], ids=lambda write: write.__name__)
def test_a_checkpoint_that_is_the_source_has_its_own_weights(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    source = weight_source(workload(source=str(path)), "block")
    assert source.spec == "source"
    read = source.read("conv.weight", torch.empty(8, 8, 1, device="meta"))
    assert torch.equal(read, STATE["conv.weight"])


def test_a_cast_is_said_and_the_file_stays(tmp_path: Path) -> None:
    path = safetensors(tmp_path)
    before = path.read_bytes()
    source = weight_source(workload(stage("float16")), "block", str(path))
    for _ in range(2):
        read = source.read("to_q.weight", torch.empty(8, 8, dtype=torch.float16))
        assert torch.equal(read, STATE["to_q.weight"].half())
        read.zero_()
    assert source.notes == ("1 weights cast from float32 to float16",)
    assert path.read_bytes() == before


def refused(path: Path | str, key: str = "to_q.weight", shape: tuple[int, ...] = (8, 8), **options: Any) -> str:
    with pytest.raises(GraphlabError) as caught:
        weight_source(workload(), "block", str(path), **options).read(key, torch.empty(shape))
    return str(caught.value)


def changed(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    state = untied(STATE)
    change(state)
    save_file(state, str(folder / "changed.safetensors"))
    return folder / "changed.safetensors"


def test_a_missing_key_names_the_nearest(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state.update({"to_qq.weight": state.pop("to_q.weight")}))
    assert "changed.safetensors has no weight 'to_q.weight' (did you mean 'to_qq.weight'?)" in refused(path)
    with pytest.raises(MissingWeight):
        weight_source(workload(), "block", str(path)).read("to_q.weight", torch.empty(8, 8))


def test_another_shape_names_both(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state.update({"to_q.weight": torch.ones(8, 9)}))
    assert "to_q.weight has shape (8, 9), expected (8, 8) for to_q.weight" in refused(path)


def test_another_kind_of_number(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state.update({"to_q.weight": torch.ones(8, 8, dtype=torch.int8)}))
    assert "to_q.weight is int8, expected float32" in refused(path)


def test_values_too_large_for_the_dtype(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state["to_q.weight"].fill_(1e6))
    source = weight_source(workload(stage("float16")), "block", str(path))
    with pytest.raises(WeightsError, match=r"to_q\.weight has values that float16 cannot hold, it is float32"):
        source.read("to_q.weight", torch.empty(8, 8, dtype=torch.float16))


def test_what_hides_stays_large_in_half_precision() -> None:
    least = torch.finfo(torch.float32).min
    made = cast(torch.tensor([0.5, least, -float("inf")]), torch.float16, "mask")
    assert made.tolist() == [0.5, torch.finfo(torch.float16).min, -float("inf")]


def test_quantised_weights(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda state: state.update({"to_q.scale_weight": torch.ones(1)}))
    assert "is quantised: scaled 8-bit weights: 1" in refused(path)


def test_two_models_in_one_file(tmp_path: Path) -> None:
    save_file({**untied(STATE, "a."), **untied(STATE, "b.")}, str(tmp_path / "two.safetensors"))
    assert "holds the weights of block under several prefixes: a., b." in refused(tmp_path / "two.safetensors")


def test_another_model(tmp_path: Path) -> None:
    save_file({"layer1.0.conv1.weight": torch.ones(2)}, str(tmp_path / "resnet.safetensors"))
    text = refused(tmp_path / "resnet.safetensors")
    assert "holds none of the weights of block: it has layer1.0.conv1.weight, expected embed.weight" in text


def test_pickles_that_run_code_need_trust(tmp_path: Path) -> None:
    torch.save(real(), tmp_path / "module.pt")
    with pytest.raises(UnsafeSourceError):
        weight_source(workload(), "block", str(tmp_path / "module.pt"))
    source = weight_source(workload(), "block", str(tmp_path / "module.pt"), trust_pickle=True)
    assert torch.equal(source.read("to_q.weight", torch.empty(8, 8)), STATE["to_q.weight"])


def test_a_buffer_no_file_has_is_refused_by_name(tmp_path: Path) -> None:
    bare = stripped(with_values())
    source = weight_source(workload(replace(stage(), program=bare, build=None)), "block", str(safetensors(tmp_path)))
    with pytest.raises(WeightsError, match="the value of wave is lost"):
        source.read("wave", torch.empty(16, 8))


def test_a_damaged_file_and_none(tmp_path: Path) -> None:
    path = safetensors(tmp_path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SourceError):
        weight_source(workload(), "block", str(path))
    assert "no such file or folder" in refused(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "holds no weights" in refused(tmp_path / "empty")


@pytest.mark.parametrize("spec", ["random", "random:", "random:-1", "random:x", "random:1.5"])
def test_a_seed_is_a_whole_number(spec: str) -> None:
    assert f"{spec!r} names no seed (write random:0" in refused(spec)


def test_reading_holds_one_tensor_at_a_time(tmp_path: Path) -> None:
    count, size = 24, 1 << 20
    state = {f"layers.{index}.weight": torch.full((size // 4,), float(index)) for index in range(count)}
    save_file(state, str(tmp_path / "large.safetensors"))
    del state
    stored = opened(tmp_path / "large.safetensors")
    assert isinstance(stored, Safetensors)
    opens: list[int] = []
    allocated = torch.empty

    def counting(*args: Any, **kwargs: Any) -> torch.Tensor:
        made = allocated(*args, **kwargs)
        opens.append(made.numel() * made.element_size())
        return made

    tracemalloc.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files_module.torch, "empty", counting)
            for index, name in enumerate(stored.names):
                assert float(stored.read(name)[0]) == float(name.split(".")[1]), index
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert opens == [size] * count, "each tensor is read into memory of its own size, once"
    assert peak < size, "no bytes of the file pass through Python's memory"


def test_held_values_stay_out_of_the_way_and_are_said(tmp_path: Path) -> None:
    live = with_values()
    source = weight_source(workload(replace(stage(), program=live, build=None)), "block", "random:0")
    assert source.notes[0].endswith("weights have values in the source, which are kept")
    assert all(torch.equal(value, held(live)[key]) for key, value in Values(live, source).items())
