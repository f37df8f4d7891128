"""Base files of graphlab.erase as sources: stages, sizes, their own values, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import graphlab
from graphlab.erase.noise import Parametrisation
from graphlab.erase.worlds.base import Base, config_of, new_base
from graphlab.erase.worlds.base_file import save_base
from graphlab.errors import SourceError
from graphlab.loading import load
from graphlab.rewriter import stage_program
from graphlab.weights import WeightsError, weight_source

CASES = [("digits", "epsilon"), ("digits", "flow"), ("layout", "v_prediction")]


def saved(folder: Path, world: str = "digits", kind: Parametrisation = "epsilon") -> tuple[Base, Path]:
    base = new_base(config_of(world, kind), 3)
    path = folder / "base.safetensors"
    save_base(base, path)
    return base, path


def changed(path: Path, **said: Any) -> None:
    """The same file with other entries in what it says of itself."""
    with safe_open(path, framework="pt") as opened:
        about = json.loads(opened.metadata()["graphlab"])
    save_file(load_file(path), path, metadata={"graphlab": json.dumps({**about, **said})})


@pytest.mark.parametrize(("world", "kind"), CASES, ids=lambda part: str(part))
def test_a_base_is_its_encoder_and_its_unet(world: str, kind: Parametrisation, tmp_path: Path) -> None:
    base, path = saved(tmp_path, world, kind)
    workload = load(path)
    assert workload.name == f"{world}-base"
    channels, height, width = base.world.shape
    assert workload.values() == {"height": height, "width": width, "batch": 1, "steps": 25, "guidance": 2.0}
    encoder, unet = workload.stages
    assert (encoder.name, unet.name) == ("text_encoder", "unet")
    assert [workload.calls(stage) for stage in workload.stages] == [2, 50]
    inputs: Any = unet.inputs
    assert inputs["sample"].shape == ("batch", channels, "height // 1", "width // 1")
    assert inputs["encoder_hidden_states"].shape == ("batch", base.language.tokens, 32)
    assert inputs["timestep"].dtype == ("float32" if kind == "flow" else "int64")  # a flow's times are no whole numbers
    for stage, module in ((encoder, base.encoder), (unet, base.unet)):
        assert stage.build is not None
        made = stage.build()
        assert not made.training
        assert made.state_dict().keys() == module.state_dict().keys()
        assert all(torch.equal(made.state_dict()[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("world", ["digits", "layout"])
def test_the_unet_is_configured_as_the_base_is(world: str, tmp_path: Path) -> None:
    base, path = saved(tmp_path, world)
    build = load(path).stage("unet").build
    assert build is not None
    made: Any = build()
    wanted, found = dict(base.unet.config), dict(made.config)  # type: ignore[call-overload]  # diffusers' configuration
    for config in (wanted, found):
        config.pop("_name_or_path", None)
        config.pop("_graphlab_pixels_per_latent", None)
    assert {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()} == {
        key: tuple(v) if isinstance(v, list) else v for key, v in wanted.items()
    }


def test_a_capture_computes_what_the_base_does(tmp_path: Path) -> None:
    base, path = saved(tmp_path)
    program = stage_program(load(path), "unet")
    assert program.exported is not None
    text = base.encode(["the digit three", "comes after three"])
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    wanted = base.denoiser().output(x, base.schedule.told(500.0), text)
    (found,) = program.exported.module()(
        sample=x, timestep=torch.tensor(500), encoder_hidden_states=text, return_dict=False
    )
    assert torch.allclose(found, wanted, atol=1e-5)


def test_it_is_analysed(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    report = graphlab.analyze(path, stage="unet", dynamic=False, cache=False)
    (stage,) = report.stages
    held = sum(value.nbytes for key, value in load_file(path).items() if key.startswith("unet."))
    assert stage.weight_bytes == {"float32": held}


def test_its_own_weights_are_the_files_and_others_are_refused(tmp_path: Path) -> None:
    base, path = saved(tmp_path)
    workload = load(path)
    key = "conv_in.weight"
    read = weight_source(workload, "unet").read(key, torch.empty(32, 1, 3, 3, device="meta"))
    assert torch.equal(read, base.unet.state_dict()[key])
    for spec in ("random:0", str(path)):
        with pytest.raises(WeightsError, match="apply-weight-mask"):
            weight_source(workload, "unet", spec)


def test_what_is_no_sound_base_is_refused(tmp_path: Path) -> None:
    _, path = saved(tmp_path)
    changed(path, version="9")
    with pytest.raises(SourceError, match="version '9'"):
        load(path)
    changed(path, version="1", config={"world": "digits"})
    with pytest.raises(SourceError, match="none of a base"):
        load(path)
    _, path = saved(tmp_path)
    tensors = load_file(path)
    del tensors["unet.conv_out.bias"]
    with safe_open(path, framework="pt") as opened:
        metadata = opened.metadata()
    save_file(tensors, path, metadata=metadata)
    build = load(path).stage("unet").build
    assert build is not None
    with pytest.raises(SourceError, match=r"do not fit .*conv_out\.bias"):
        build()
    _, path = saved(tmp_path)
    with pytest.raises(SourceError, match="not a state dict"):
        load(path, config=path)
