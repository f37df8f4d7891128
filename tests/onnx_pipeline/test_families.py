"""Pipelines with several text encoders: hidden states, pooled texts, packed latents.

Each test captures and exports four or five models of two layers, which takes some ten seconds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.exporter import export
from graphlab.running import run
from tests.onnx_pipeline import pipelines
from tests.onnx_pipeline.test_run import MOST, difference, reference


@pytest.mark.parametrize(
    ("family", "side"), [("stable_diffusion_xl", 16), ("stable_diffusion_3", 16), ("flux", 32)], ids=lambda v: str(v)
)
def test_image_is_that_of_pytorch(family: str, side: int, tmp_path: Path) -> None:
    pipe = getattr(pipelines, family)(tmp_path)
    export(str(tmp_path / "source"), f"{tmp_path / 'onnx'}/", target="ort-cpu", check=False)
    words = "a small red house"
    made = run(tmp_path / "onnx", words, steps=2, height=side, width=side, seed=5)
    expected = reference(pipe, 5, prompt=words, num_inference_steps=2, height=side, width=side)
    assert difference(made.values, expected) < MOST


def test_a_video_whose_pipeline_reads_weights_of_the_autoencoder(tmp_path: Path) -> None:
    """LTXPipeline scales latents by two buffers that the decoder itself does not read."""
    pipe = pipelines.ltx(tmp_path)
    export(str(tmp_path / "source"), f"{tmp_path / 'onnx'}/", target="ort-cpu", check=False)
    words, size = "a small red house", {"height": 32, "width": 32}
    made = run(tmp_path / "onnx", words, steps=2, guidance=3.0, frames=9, seed=5, **size)
    expected = reference(pipe, 5, prompt=words, num_inference_steps=2, guidance_scale=3.0, num_frames=9, **size)
    assert difference(made.values, expected) < MOST
