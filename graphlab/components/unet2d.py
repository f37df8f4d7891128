"""diffusers.UNet2DConditionModel: Stable Diffusion 1.x, 2.x, XL, inpainting, upscaler and DeepFloyd IF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of UNet2DConditionModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "sample_size": None,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (320, 640, 1280, 1280),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 1280,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "class_embed_type": None,
    "num_class_embeds": None,
    "addition_embed_type": None,
    "addition_time_embed_dim": None,
    "projection_class_embeddings_input_dim": None,
    "time_embedding_type": "positional",
    "time_embedding_dim": None,
    "time_cond_proj_dim": None,
    "attention_type": "default",
}

LATENT_SIDE = 64
"""Latent side assumed where `sample_size` is absent: that of Stable Diffusion 1.x."""


@component("UNet2DConditionModel")
def unet2d_condition(config: Config, dtype: str) -> Component:
    """sample (batch, in_channels, height/s, width/s), timestep (), encoder_hidden_states (batch, tokens, cross).

    s is `pixels_per_position`. Beside these three, what the configuration asks for: class_labels (batch, ...),
    timestep_cond (batch, time_cond_proj_dim), added_cond_kwargs {text_embeds, time_ids, image_embeds}.
    """

    def build() -> torch.nn.Module:
        from diffusers import UNet2DConditionModel

        return build_on_meta(lambda: UNet2DConditionModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, pixels_per_position(config))
    rows, columns = _sides(known["sample_size"])
    multiple = scale * _granularity(known)
    latent = ("batch", int(known["in_channels"]), f"height // {scale}", f"width // {scale}")
    inputs: dict[str, Argument] = {
        "sample": TensorInput(latent, dtype, role="latent"),
        "timestep": TensorInput((), "int64", role="timestep"),
        "encoder_hidden_states": _text(known, dtype),
        "return_dict": False,
    }
    inputs.update(_class_labels(known, dtype))
    if known["time_cond_proj_dim"] is not None:
        inputs["timestep_cond"] = TensorInput(("batch", int(known["time_cond_proj_dim"])), dtype, role="condition")
    added = _added(known, dtype)
    if added:
        inputs["added_cond_kwargs"] = added
    return Component(
        class_name="UNet2DConditionModel",
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            Variable("height", rows * scale, "image height in pixels", minimum=multiple, multiple_of=multiple),
            Variable("width", columns * scale, "image width in pixels", minimum=multiple, multiple_of=multiple),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 77, "text tokens"),
        ),
        assumptions=_assumptions(known, scale),
    )


def pixels_per_position(config: Config) -> int:
    """Pixels of the image per row of `sample`: 1 in pixel space, 4 for the upscaler's latents, else 8.

    A U-Net's configuration does not say which autoencoder it works with, so its channels tell: 3 or 3 + 3 are
    images (DeepFloyd IF I, II), 4 + 3 latents of the x4 upscaler, 4 or 4 + 1 + 4 Stable Diffusion's latents.
    """
    channels = int(config.get("in_channels", DEFAULTS["in_channels"]))
    return {3: 1, 6: 1, 7: 4}.get(channels, 8)


def _sides(sample_size: Any) -> tuple[int, int]:
    if sample_size is None:
        return LATENT_SIDE, LATENT_SIDE
    if isinstance(sample_size, int):
        return sample_size, sample_size
    return int(sample_size[0]), int(sample_size[1])


def _granularity(known: Mapping[str, Any]) -> int:
    """Positions a side must be a multiple of: UpBlock2D and CrossAttnUpBlock2D resize to any skip connection,
    the other up blocks only double (diffusers models/unets/unet_2d_blocks.py, use of upsample_size)."""
    if all(kind in ("UpBlock2D", "CrossAttnUpBlock2D") for kind in known["up_block_types"]):
        return 1
    return int(2 ** (len(known["block_out_channels"]) - 1))


def _cross_attention_dim(known: Mapping[str, Any]) -> int:
    """Width of the text that the attention blocks read; every block reads the same tensor."""
    dims = known["cross_attention_dim"]
    if isinstance(dims, int):
        return dims
    blocks = known["down_block_types"]
    read = {int(d) for d, kind in zip(dims, blocks, strict=True) if "CrossAttn" in kind}
    if "CrossAttn" in (known["mid_block_type"] or ""):
        read.add(int(dims[-1]))
    if len(read) > 1:
        raise UnknownArchitectureError(
            f"UNet2DConditionModel with cross_attention_dim {list(dims)} reads texts of different widths",
            hint="its blocks are all given one encoder_hidden_states; pass a path/file.py:function instead",
        )
    return read.pop() if read else int(dims[0])


def _text(known: Mapping[str, Any], dtype: str) -> Argument:
    kind = known["encoder_hid_dim_type"]
    width = known["encoder_hid_dim"]
    if kind not in (None, "text_proj", "text_image_proj", "image_proj"):
        raise UnknownArchitectureError(
            f"UNet2DConditionModel with encoder_hid_dim_type {kind!r} is not understood",
            hint="known: text_proj, text_image_proj, image_proj; pass a path/file.py:function instead",
        )
    if kind == "image_proj":
        return None
    return TensorInput(("batch", "tokens", int(width) if width else _cross_attention_dim(known)), dtype, role="text")


def _class_labels(known: Mapping[str, Any], dtype: str) -> dict[str, Argument]:
    kind, classes = known["class_embed_type"], known["num_class_embeds"]
    if kind is None and classes is None:
        return {}
    if kind is None or kind == "timestep":
        return {"class_labels": TensorInput(("batch",), "int64", role="condition")}
    if kind == "identity":
        factor = 2 if known["time_embedding_type"] == "fourier" else 4
        width = known["time_embedding_dim"] or int(known["block_out_channels"][0]) * factor
    elif kind in ("projection", "simple_projection"):
        width = known["projection_class_embeddings_input_dim"]
    else:
        raise UnknownArchitectureError(f"UNet2DConditionModel with class_embed_type {kind!r} is not understood")
    return {"class_labels": TensorInput(("batch", _given(width, f"class_embed_type {kind}")), dtype, role="condition")}


def _added(known: Mapping[str, Any], dtype: str) -> dict[str, Argument]:
    """added_cond_kwargs: what UNet2DConditionModel.get_aug_embed and process_encoder_hidden_states read."""
    kind = known["addition_embed_type"]
    found: dict[str, Argument] = {}
    if known["encoder_hid_dim_type"] == "text_image_proj" or kind == "text_image":
        image = TensorInput(("batch", _cross_attention_dim(known)), dtype, role="condition")
        found["image_embeds"] = image
    if known["encoder_hid_dim_type"] == "image_proj" or kind == "image":
        width = _given(known["encoder_hid_dim"], "an image embedding")
        found["image_embeds"] = TensorInput(("batch", width), dtype, role="condition")
    if kind == "text_image":
        found["text_embeds"] = TensorInput(("batch", _cross_attention_dim(known)), dtype, role="condition")
    elif kind == "text_time":
        width, numbers = _text_time(known)
        found["text_embeds"] = TensorInput(("batch", width), dtype, role="condition")
        found["time_ids"] = TensorInput(("batch", numbers), dtype, role="condition")
    elif kind not in (None, "text", "image"):
        raise UnknownArchitectureError(
            f"UNet2DConditionModel with addition_embed_type {kind!r} is not understood",
            hint="known: text, text_image, text_time, image; pass a path/file.py:function instead",
        )
    return found


def _text_time(known: Mapping[str, Any]) -> tuple[int, int]:
    """(width of the pooled text, size and crop numbers): only the width of the two together is configured.

    XL's refiner has 5 numbers (an aesthetic score for a target size) and reads one text encoder, so its pooled
    text is as wide as its text; every other published model has 6.
    """
    total = _given(known["projection_class_embeddings_input_dim"], "addition_embed_type text_time")
    each = _given(known["addition_time_embed_dim"], "addition_embed_type text_time")
    numbers = 5 if total - 5 * each == _cross_attention_dim(known) else 6
    if total <= numbers * each:
        raise UnknownArchitectureError(
            f"UNet2DConditionModel: projection_class_embeddings_input_dim {total} leaves no room for a pooled text "
            f"beside {numbers} numbers of {each}"
        )
    return total - numbers * each, numbers


def _given(value: Any, what: str) -> int:
    if value is None:
        raise UnknownArchitectureError(f"UNet2DConditionModel: {what} without its width in the configuration")
    return int(value)


def _assumptions(known: Mapping[str, Any], scale: int) -> tuple[str, ...]:
    notes: list[str] = []
    if scale == 8:
        note = "8 pixels per latent position (the autoencoder's, which the U-Net's configuration does not name)"
        notes.extend(scale_note(known, note))
    if known["sample_size"] is None:
        notes.append(f"sample_size is absent: {LATENT_SIDE} latent positions a side")
    if known["addition_embed_type"] == "text_time":
        width, numbers = _text_time(known)
        notes.append(f"added conditions read as {numbers} numbers and a pooled text of {width}")
    if known["attention_type"] != "default":
        notes.append("captured without grounding boxes (GLIGEN), as the model runs after its scheduled steps")
    return tuple(notes)
