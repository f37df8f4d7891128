"""Whole pipelines with random weights: what `graphlab run` makes of an export is what diffusers makes in PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.exporter import export
from graphlab.exporting.options import ExportOptions
from graphlab.exporting.targets import target_named
from graphlab.loading import load
from graphlab.lowering.ort_call import SessionSettings
from graphlab.onnx_pipeline.hoisted import export_hoisted
from graphlab.onnx_pipeline.layout import pipeline_layout
from graphlab.onnx_pipeline.open_hoisted import open_hoisted
from graphlab.rewriter import chosen_passes, rewrite_stage
from graphlab.running import run
from graphlab.weights.source import weight_source
from tests.onnx_pipeline import pipelines

MOST = 1e-5
"""Largest difference of a pixel, from 0 to 1, that docs/onnx.md states."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A StableDiffusionPipeline and the folder with its `source` and `onnx`."""
    home = tmp_path_factory.mktemp("sd")
    pipe = pipelines.stable_diffusion(home)
    export(str(home / "source"), f"{home / 'onnx'}/", target="ort-cpu", check=False)
    return pipe, home


def reference(pipe: Any, seed: int, **options: Any) -> torch.Tensor:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers' own, about numpy
        made = pipe(**options, generator=torch.Generator("cpu").manual_seed(seed), output_type="np")
    return torch.as_tensor(made.images if hasattr(made, "images") else made.frames)


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    assert first.shape == second.shape
    assert float(second.std()) > 0.01
    return float((first - second).abs().max())


def test_guided_image_of_words(tiny: tuple[Any, Path]) -> None:
    """Euler's timesteps have fractions here; guidance is a batch of two."""
    pipe, home = tiny
    words, against = "a small red house", "a low sea"
    made = run(home / "onnx", words, negative_prompt=against, steps=3, guidance=5.0, height=16, width=16, seed=5)
    options = {"num_inference_steps": 3, "guidance_scale": 5.0, "height": 16, "width": 16}
    expected = reference(pipe, 5, prompt=words, negative_prompt=against, **options)
    assert difference(made.values, expected) < MOST
    other = reference(pipe, 5, prompt=words, **options)
    assert float((made.values - other).abs().max()) > 1e-2


def test_other_sizes_and_no_guidance(tiny: tuple[Any, Path]) -> None:
    pipe, home = tiny
    made = run(home / "onnx", "the sea", steps=2, guidance=1.0, height=24, width=16, seed=2)
    expected = reference(pipe, 2, prompt="the sea", num_inference_steps=2, guidance_scale=1.0, height=24, width=16)
    assert difference(made.values, expected) < MOST
    assert {item.model: item.calls for item in made.report.models} == {"vae": 1, "text_encoder": 1, "unet": 2}


def test_a_hoisted_denoiser(tiny: tuple[Any, Path], tmp_path: Path) -> None:
    """The prologue runs once, the table once a timestep, and the image is the same."""
    pipe, home = tiny
    folder = tmp_path / "onnx"
    folder.mkdir()
    for item in (home / "onnx").iterdir():
        if item.name != "unet":
            (folder / item.name).symlink_to(item)
    layout = pipeline_layout(load(str(home / "source")))
    program, result = rewrite_stage(layout.workload, "unet", chosen_passes(3))
    weights = weight_source(layout.workload, "unet")
    options = ExportOptions(target_named("ort-cpu"), check=False)
    reports = export_hoisted(program, result, weights, folder / "unet", options, naming=layout.stage("unet").naming)
    assert [Path(item.path).name for item in reports] == ["prologue.onnx", "table.onnx", "step.onnx"]
    (folder / "unet" / "config.json").write_bytes((home / "onnx" / "unet" / "config.json").read_bytes())
    made = run(folder, "a small red house", steps=3, height=16, width=16, seed=5)
    expected = reference(pipe, 5, prompt="a small red house", num_inference_steps=3, height=16, width=16)
    assert difference(made.values, expected) < MOST
    _check_calls(folder / "unet")


def _check_calls(folder: Path) -> None:
    """Parts run as often as the loop needs, and again for another prompt."""
    stage = open_hoisted(folder, SessionSettings())
    text = torch.randn(2, 16, 32)
    for prompt in (text, text.clone(), text + 1):
        for time in (9.0, 5.5, 9.0):
            given = {"sample": torch.randn(2, 4, 8, 8), "timestep": torch.tensor(time), "encoder_hidden_states": prompt}
            stage(given)
    assert stage.calls == {"prologue": 2, "table": 4, "step": 9}
    assert set(stage.inputs) == {"sample", "timestep", "encoder_hidden_states"}
    assert stage.outputs == ("out_sample",)


def test_a_class_conditional_transformer(tmp_path: Path) -> None:
    pipe = pipelines.dit(tmp_path)
    export(str(tmp_path / "source"), f"{tmp_path / 'onnx'}/", target="ort-cpu", check=False)
    made = run(tmp_path / "onnx", prompt_ids=["207"], steps=2, seed=4)
    assert difference(made.values, reference(pipe, 4, class_labels=[207], num_inference_steps=2)) < MOST
    assert any("class" in note for note in run(tmp_path / "onnx", steps=1, seed=3).report.notes)
