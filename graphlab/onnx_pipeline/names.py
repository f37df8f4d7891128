"""What a stage's model calls its inputs, results and axes: names that Optimum's ONNX Runtime pipelines ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.onnx_pipeline.model_class import ModelClass
from graphlab.sources.stage import tensor_inputs
from graphlab.symbolic import names_in
from graphlab.workload import Size, Stage

_ADDED = "added_cond_kwargs_"
"""torch joins the name of a nested argument and its key; the model takes the key alone."""
_AUTOENCODERS = ("AutoencoderKL", "VQModel", "AsymmetricAutoencoderKL", "AutoencoderDC")
_TEXT_ENCODERS = {
    "CLIPTextModel": ("last_hidden_state", "pooler_output"),
    "CLIPTextModelWithProjection": ("text_embeds", "last_hidden_state"),
    "T5EncoderModel": ("last_hidden_state",),
    "UMT5EncoderModel": ("last_hidden_state",),
    "CLIPVisionModelWithProjection": ("image_embeds", "last_hidden_state"),
}
"""{class: its results}; the hidden states of every layer come after them, where a pipeline reads one."""
_LLAMA_SKIPPED = 2
"""Layers behind the one that HunyuanVideo reads (`graphlab.components.hidden_states`)."""


@dataclass(frozen=True, slots=True)
class Names:
    """{program's input: the model's}, the results in order (empty: the program's own), {symbol: axis}."""

    inputs: Mapping[str, str]
    outputs: tuple[str, ...]
    axes: Mapping[str, str]


def names_of(stage: Stage, made: ModelClass | None, *, hidden_states: bool) -> Names:
    """The names of `stage`, made of `made`; `hidden_states` says that every layer's are among its results."""
    inputs = {name: _input(name, made) for name in tensor_inputs(stage)}
    outputs = () if made is None else _outputs(made, hidden_states=hidden_states)
    return Names(inputs, outputs, _axes(stage, latent=is_autoencoder(made)))


def is_autoencoder(made: ModelClass | None) -> bool:
    """Whether a stage of this class turns latents into an image or a video."""
    return made is not None and made.name.startswith(_AUTOENCODERS)


def is_text_encoder(made: ModelClass | None) -> bool:
    """Whether a stage of this class encodes a prompt."""
    return made is not None and (made.name in _TEXT_ENCODERS or made.name == "LlamaModel") and "Vision" not in made.name


def is_denoiser(made: ModelClass | None) -> bool:
    """Whether a stage of this class runs at every step of a diffusion."""
    return made is not None and made.library == "diffusers" and not is_autoencoder(made)


def _input(name: str, made: ModelClass | None) -> str:
    if is_autoencoder(made):
        return {"latent": "latent_sample"}.get(name, name)
    return name.removeprefix(_ADDED)


def _outputs(made: ModelClass, *, hidden_states: bool) -> tuple[str, ...]:
    if made.name in _TEXT_ENCODERS:
        layers = int(made.complete().get("num_hidden_layers", 0)) + 1 if hidden_states else 0
        return (*_TEXT_ENCODERS[made.name], *(f"hidden_states.{index}" for index in range(layers)))
    if made.name == "LlamaModel":
        layer = int(made.complete()["num_hidden_layers"]) - _LLAMA_SKIPPED
        return (f"hidden_states.{layer}", "last_hidden_state")
    if is_autoencoder(made):
        return ("sample",)
    if is_denoiser(made):
        return ("out_sample",) if "UNet" in made.name else ("out_hidden_states",)
    return ()


def _axes(stage: Stage, *, latent: bool) -> dict[str, str]:
    """{"sample.d2": "height"}: axes are called after what their sizes are made of, and their input where two differ."""
    found: dict[str, str] = {}
    sizes: dict[str, Size] = {}
    for name, tensor in tensor_inputs(stage).items():
        for index, size in enumerate(tensor.shape):
            axis = _axis(size, latent=latent)
            if axis and sizes.setdefault(axis, size) != size:
                axis = f"{name.removeprefix(_ADDED)}_{axis}"
            if axis:
                found[f"{name}.d{index}"] = axis
    return found


def _axis(size: Size, *, latent: bool) -> str:
    read = sorted(names_in(size))
    if read == ["batch"]:
        return "batch_size"
    if read == ["tokens"]:
        return "sequence_length"
    if read == ["frames"]:
        return "num_frames"
    if read in (["height"], ["width"]):
        return f"latent_{read[0]}" if latent else read[0]
    return f"packed_{'_'.join(read)}" if read and set(read) <= {"frames", "height", "width"} else ""
