"""Runs inside Optimum's environment: one U-Net by its exporter, with its own defaults.

    python inside_optimum.py CONFIG.json WEIGHTS.safetensors MODEL.onnx SIZES

SIZES is a JSON object {input: shape}, the sizes the other exporters see; the axes stay dynamic, as Optimum makes them.
The timestep is an integer, as in the other files. The last line printed is a JSON object. graphlab is not imported: it
is not installed here.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import UNetOnnxConfig
from safetensors.torch import load_file


class _IntegerTimestep(UNetOnnxConfig):  # type: ignore[misc]  # optimum is not installed where types are checked
    def generate_dummy_inputs(self, framework: str = "pt", **kwargs: Any) -> dict[str, Any]:
        made: dict[str, Any] = super().generate_dummy_inputs(framework=framework, **kwargs)
        made["timestep"] = made["timestep"].long()
        return made


def main(config: str, weights: str, output: str, sizes: str) -> None:
    """Exports and prints the seconds that took, and versions."""
    with torch.device("meta"):
        model = UNet2DConditionModel.from_config(json.loads(Path(config).read_text()))
    model.load_state_dict(load_file(weights), assign=True, strict=True)
    model.eval().requires_grad_(False)
    shapes = json.loads(sizes)
    model.config.text_encoder_projection_dim = shapes.get("text_embeds", [None])[-1]  # as Optimum's pipelines set it
    wanted = {
        "batch_size": shapes["sample"][0],
        "height": shapes["sample"][2],
        "width": shapes["sample"][3],
        "sequence_length": shapes["encoder_hidden_states"][1],
    }
    start = time.perf_counter()
    export(model, _IntegerTimestep(model.config, task="semantic-segmentation"), Path(output), input_shapes=wanted)
    found = {"export_seconds": time.perf_counter() - start}
    found["versions"] = {name: version(name) for name in ("optimum-onnx", "optimum", "torch", "diffusers")}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
