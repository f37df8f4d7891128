"""A folder as an export writes it, of models written by hand: a pipeline that runs in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.onnx_pipeline.pipelines import CLIP, UNET, VAE

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def model(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], weights: Any = ()) -> None:
    """Writes the model of `nodes` to `path`; ports are {name: (dtype, shape)}."""
    made = [[helper.make_tensor_value_info(name, *port) for name, port in ports.items()] for ports in (inputs, outputs)]
    graph = helper.make_graph(nodes, path.parent.name, *made, list(weights))
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def config(path: Path, **content: Any) -> None:
    (path / "config.json").write_text(json.dumps(content))


def folder(path: Path, side: int | str = "height") -> Path:
    """A StableDiffusionPipeline without tokenizer: noise is half its input plus the mean of the text."""
    mean = helper.make_node("ReduceMean", ["encoder_hidden_states", "axes"], ["mean"], keepdims=1)
    axes = helper.make_tensor("axes", INT, [2], [1, 2])
    shape = helper.make_tensor("shape", INT, [4], [-1, 1, 1, 1])
    half = helper.make_tensor("half", FLOAT, [], [0.5])
    nodes = [
        helper.make_node("Cast", ["timestep"], ["unused"], to=FLOAT),
        mean,
        helper.make_node("Reshape", ["mean", "shape"], ["offset"]),
        helper.make_node("Mul", ["sample", "half"], ["halved"]),
        helper.make_node("Add", ["halved", "offset"], ["out_sample"]),
    ]
    latent = (FLOAT, ["batch_size", 4, side, side])
    text = (FLOAT, ["batch_size", "sequence_length", 32])
    inputs = {"sample": latent, "timestep": (FLOAT, []), "encoder_hidden_states": text}
    model(path / "unet" / "model.onnx", nodes, inputs, {"out_sample": latent}, [axes, shape, half])
    config(path / "unet", _class_name="UNet2DConditionModel", **UNET)
    table = helper.make_tensor("table", FLOAT, [100, 32], [0.01 * (index // 32) for index in range(3200)])
    gather = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    ids = (INT, ["batch_size", "sequence_length"])
    model(path / "text_encoder" / "model.onnx", [gather], {"input_ids": ids}, {"last_hidden_state": text}, [table])
    config(path / "text_encoder", architectures=["CLIPTextModel"], model_type="clip_text_model", **CLIP)
    decoder(path)
    write_index(path)
    return path


def decoder(path: Path) -> None:
    """Channels 0 to 2 of the latent, twice as large."""
    scales = helper.make_tensor("scales", FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    bounds = [helper.make_tensor(name, INT, [1], [value]) for name, value in (("start", 0), ("end", 3), ("axis", 1))]
    nodes = [
        helper.make_node("Slice", ["latent_sample", "start", "end", "axis"], ["rgb"]),
        helper.make_node("Resize", ["rgb", "", "scales"], ["sample"], mode="nearest"),
    ]
    latent = (FLOAT, ["batch_size", 4, "latent_height", "latent_width"])
    image = (FLOAT, ["batch_size", 3, "h", "w"])
    model(path / "vae_decoder" / "model.onnx", nodes, {"latent_sample": latent}, {"sample": image}, [scales, *bounds])
    config(path / "vae_decoder", _class_name="AutoencoderKL", **VAE)


def write_index(path: Path, **changes: Any) -> None:
    """model_index.json and the scheduler."""
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
        **changes,
    }
    (path / "model_index.json").write_text(json.dumps(index))
    (path / "scheduler").mkdir(exist_ok=True)
    scheduler = {"_class_name": "DDIMScheduler", "steps_offset": 1, "clip_sample": False}
    (path / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
