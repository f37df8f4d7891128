"""Runs inside the environment: an exported folder in Optimum's pipeline against diffusers' own on the same latents.

    python inside_optimum.py SOURCE_FOLDER ONNX_FOLDER PROMPT STEPS SIDE IMAGE.npy

The last line printed is a JSON object. graphlab is not imported: it is not installed here.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version

import diffusers
import numpy as np
import torch
from optimum.onnxruntime import ORTDiffusionPipeline

PACKAGES = ("optimum-onnx", "optimum", "onnxruntime", "diffusers", "transformers", "torch")


def main(source: str, exported: str, prompt: str, steps: str, side: str, image: str) -> None:
    """Prints the class that loaded the folder, the largest difference of both images, and versions."""
    options = {"num_inference_steps": int(steps), "height": int(side), "width": int(side), "output_type": "np"}
    onnx = ORTDiffusionPipeline.from_pretrained(exported)
    torch_pipe = diffusers.DiffusionPipeline.from_pretrained(source)
    images = []
    for pipe in (onnx, torch_pipe):
        pipe.set_progress_bar_config(disable=True)
        with torch.no_grad():
            images.append(pipe(prompt, generator=torch.Generator("cpu").manual_seed(0), **options).images)
    np.save(image, images[0])
    found = {
        "loaded_by": type(onnx).__name__,
        "providers": onnx.parts[0].session.get_providers(),
        "shape": list(images[0].shape),
        "difference": float(np.abs(images[0] - images[1]).max()),
        "spread": float(images[1].std()),
        "versions": {name: version(name) for name in PACKAGES},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
