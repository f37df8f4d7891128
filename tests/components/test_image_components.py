"""Image components under configurations found in the wild: inputs that the class accepts, or a clear refusal."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import diffusers
import pytest
import torch
import transformers

from graphlab.components import (
    autoencoder_kl,
    build_on_meta,
    component_for,
    dit,
    flux,
    pixart,
    sd3,
    unet2d,
    uvit,
    vqmodel,
)
from graphlab.components.base import Component
from graphlab.errors import UnknownArchitectureError
from graphlab.models.building_blocks import TINY_CLIP, TINY_T5, TINY_VAE
from graphlab.sources.arguments import example_arguments

UNET: dict[str, Any] = {
    "block_out_channels": [32, 64],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "attention_head_dim": 4,
    "sample_size": 8,
}
IMAGE_CONDITIONED = {"encoder_hid_dim_type": "image_proj", "encoder_hid_dim": 24, "addition_embed_type": "image"}
PROJECTED = {"projection_class_embeddings_input_dim": 48}
TEXT_TIME = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8}

# What each kind of U-Net adds to UNET, and the inputs it must get beside the usual three.
UNETS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "sd1": ({}, set()),
    "sd2": ({"use_linear_projection": True, "attention_head_dim": [2, 4]}, set()),
    "class defaults": ({"sample_size": None}, set()),
    "inpainting": ({"in_channels": 9}, set()),
    "upscaler": ({"in_channels": 7, "num_class_embeds": 1000}, {"class_labels"}),
    "rectangular": ({"sample_size": [8, 16]}, set()),
    "list of equal widths": ({"cross_attention_dim": [32, 32]}, set()),
    "lcm": ({"time_cond_proj_dim": 16}, {"timestep_cond"}),
    "fourier identity": ({"time_embedding_type": "fourier", "class_embed_type": "identity"}, {"class_labels"}),
    "identity": ({"class_embed_type": "identity"}, {"class_labels"}),
    "timestep": ({"class_embed_type": "timestep"}, {"class_labels"}),
    "unclip": ({"class_embed_type": "projection", **PROJECTED}, {"class_labels"}),
    "simple": (
        {"class_embed_type": "simple_projection", "projection_class_embeddings_input_dim": 48},
        {"class_labels"},
    ),
    "sdxl": ({**TEXT_TIME, "projection_class_embeddings_input_dim": 80}, {"added_cond_kwargs"}),
    "refiner": (
        {**TEXT_TIME, "projection_class_embeddings_input_dim": 72, "cross_attention_dim": 32},
        {"added_cond_kwargs"},
    ),
    "if": ({"encoder_hid_dim": 40, "addition_embed_type": "text", "addition_embed_type_num_heads": 4}, set()),
    "kolors": (
        {**TEXT_TIME, "projection_class_embeddings_input_dim": 144, "encoder_hid_dim": 96},
        {"added_cond_kwargs"},
    ),
    "kandinsky 2.1": (
        {"encoder_hid_dim_type": "text_image_proj", "encoder_hid_dim": 24, "addition_embed_type": "text_image"},
        {"added_cond_kwargs"},
    ),
    "kandinsky 2.2": (IMAGE_CONDITIONED, {"added_cond_kwargs"}),
}


def run(component: Component, **bindings: int) -> Any:
    """What the component's module returns on meta tensors at batch 2 and its variables' defaults."""
    values = {**{v.name: v.default for v in component.variables}, "batch": 2, **bindings}
    with torch.no_grad():
        return component.build()(**example_arguments(component.stage("stage"), values, "meta"))


def default(component: Component, name: str) -> int | float:
    """Default of the component's variable `name`."""
    return next(v.default for v in component.variables if v.name == name)


@pytest.mark.parametrize("kind", UNETS)
def test_unet_of_every_kind_runs(kind: str) -> None:
    extra, inputs = UNETS[kind]
    component = component_for("UNet2DConditionModel", {**UNET, **extra}, "float16")
    assert set(component.inputs) - inputs == {"sample", "timestep", "encoder_hidden_states", "return_dict"}
    scale = unet2d.pixels_per_position({**UNET, **extra})
    expected = (2, 4, int(default(component, "height")) // scale, int(default(component, "width")) // scale)
    assert run(component)[0].shape == expected


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"addition_embed_type": "image_hint", "encoder_hid_dim": 24}, "addition_embed_type 'image_hint'"),
        ({"encoder_hid_dim_type": "ip_image_proj", "encoder_hid_dim": 24}, "encoder_hid_dim_type 'ip_image_proj'"),
        ({"class_embed_type": "other"}, "class_embed_type 'other'"),
        ({"class_embed_type": "projection"}, "without its width"),
        ({"addition_embed_type": "text_time"}, "without its width"),
        ({**TEXT_TIME, "projection_class_embeddings_input_dim": 48}, "leaves no room"),
        ({"cross_attention_dim": [32, 64], "down_block_types": ["CrossAttnDownBlock2D"] * 2}, "different widths"),
    ],
)
def test_unet_that_cannot_be_honoured_is_refused(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownArchitectureError, match=message):
        component_for("UNet2DConditionModel", {**UNET, **extra}, "float16")


def test_unet_takes_sizes_off_its_grid() -> None:
    component = component_for("UNet2DConditionModel", UNET, "float16")
    assert run(component, height=72, width=88)[0].shape == (2, 4, 9, 11)


def test_pooled_text_and_numbers_of_xl_and_refiner() -> None:
    base = {**UNET, **TEXT_TIME, "cross_attention_dim": 64, "projection_class_embeddings_input_dim": 80}
    refiner = {**UNET, **TEXT_TIME, "cross_attention_dim": 32, "projection_class_embeddings_input_dim": 72}
    for config, width, numbers in ((base, 32, 6), (refiner, 32, 5)):
        added = component_for("UNet2DConditionModel", config, "float16").inputs["added_cond_kwargs"]
        assert isinstance(added, dict)
        assert (added["text_embeds"].shape[1], added["time_ids"].shape[1]) == (width, numbers)


DEFAULTS = [
    (diffusers.UNet2DConditionModel, unet2d.DEFAULTS),
    (diffusers.AutoencoderKL, autoencoder_kl.DEFAULTS),
    (diffusers.VQModel, vqmodel.DEFAULTS),
    (diffusers.SD3Transformer2DModel, sd3.DEFAULTS),
    (diffusers.FluxTransformer2DModel, flux.DEFAULTS),
    (diffusers.DiTTransformer2DModel, dit.DEFAULTS),
    (diffusers.PixArtTransformer2DModel, pixart.DEFAULTS),
    (diffusers.UVit2DModel, uvit.DEFAULTS),
]


@pytest.mark.parametrize(("model_class", "defaults"), DEFAULTS, ids=lambda x: getattr(x, "__name__", "defaults"))
def test_defaults_are_the_class_s_own(model_class: type, defaults: dict[str, Any]) -> None:
    parameters = inspect.signature(model_class.__init__).parameters
    assert {name: parameters[name].default for name in defaults} == dict(defaults)


def test_clip_default_is_the_configuration_s_own() -> None:
    module = importlib.import_module("graphlab.components.clip_text")
    configuration = transformers.CLIPTextConfig()
    assert {name: getattr(configuration, name) for name in module.DEFAULTS} == dict(module.DEFAULTS)


@pytest.mark.parametrize("post_quant_conv", [True, False])
def test_kl_decoder_leaves_the_encoder_out(post_quant_conv: bool) -> None:
    config = {**TINY_VAE, "latent_channels": 4, "use_post_quant_conv": post_quant_conv}
    component = component_for("AutoencoderKL", config, "float16")
    names = {name.split(".")[1] for name, _ in component.build().named_parameters()}
    assert names == {"decoder", *(["post_quant_conv"] if post_quant_conv else [])}
    assert run(component).shape == (2, 3, 64, 64)


VQ: dict[str, Any] = {
    "block_out_channels": [32, 64],
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "num_vq_embeddings": 16,
    "latent_channels": 4,
}


@pytest.mark.parametrize(
    ("extra", "name", "shape"),
    [
        ({"lookup_from_codebook": True}, "tokens", ("batch", "height // 2", "width // 2")),
        ({}, "latent", ("batch", 4, "height // 2", "width // 2")),
        ({"vq_embed_dim": 3}, "latent", ("batch", 3, "height // 2", "width // 2")),
        (
            {"norm_type": "spatial", "up_block_types": ["AttnUpDecoderBlock2D", "UpDecoderBlock2D"]},
            "latent",
            ("batch", 4, "height // 2", "width // 2"),
        ),
    ],
)
def test_vq_decoders_run(extra: dict[str, Any], name: str, shape: tuple[int | str, ...]) -> None:
    component = component_for("VQModel", {**VQ, **extra}, "float32")
    assert list(component.inputs) == [name]
    assert getattr(component.inputs[name], "shape", None) == shape
    assert run(component, height=16, width=32).shape == (2, 3, 16, 32)


def test_clip_reads_a_nested_text_configuration() -> None:
    component = component_for("CLIPTextModel", {"text_config": {**TINY_CLIP, "max_position_embeddings": 40}}, "float16")
    assert next(v.maximum for v in component.variables if v.name == "tokens") == 40
    assert run(component).last_hidden_state.shape == (2, 40, 32)


@pytest.mark.parametrize(("dtype", "kept"), [("float16", torch.float32), ("bfloat16", torch.bfloat16)])
def test_t5_keeps_wo_in_float32_where_from_pretrained_does(dtype: str, kept: torch.dtype) -> None:
    module = component_for("T5EncoderModel", TINY_T5, dtype).build()
    found = {name.split(".")[-2]: p.dtype for name, p in module.named_parameters()}
    assert found["wo"] == kept
    assert found["q"] == getattr(torch, dtype)


def test_t5_ties_its_embedding_once() -> None:
    module = component_for("T5EncoderModel", TINY_T5, "float16").build()
    assert sum(p.numel() for p in module.parameters() if p.shape == (1000, 32)) == 32_000


class Kept(torch.nn.Module):
    """A class of diffusers' kind: `norm` stays in float32, as do buffers that are not saved."""

    _keep_in_fp32_modules = ("norm",)

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.norm = torch.nn.LayerNorm(2)
        self.register_buffer("angles", torch.ones(2), persistent=False)
        self.register_buffer("count", torch.ones(2, dtype=torch.int64))

    def to(self, *args: Any, **kwargs: Any) -> Any:
        assert not any(isinstance(a, torch.dtype) for a in (*args, *kwargs.values())), "diffusers warns here"
        return super().to(*args, **kwargs)


def test_build_keeps_what_the_class_keeps() -> None:
    module = build_on_meta(lambda: torch.nn.Sequential(Kept()), "bfloat16")
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert {name: t.dtype for name, t in state.items()} == {
        "0.linear.weight": torch.bfloat16,
        "0.linear.bias": torch.bfloat16,
        "0.norm.weight": torch.float32,
        "0.norm.bias": torch.float32,
        "0.angles": torch.float32,
        "0.count": torch.int64,
    }
    assert {t.device.type for t in state.values()} == {"meta"}
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())


def test_pixart_asks_for_sizes_only_where_the_class_does() -> None:
    tiny = {"num_layers": 1, "attention_head_dim": 12, "num_attention_heads": 4, "cross_attention_dim": 48}
    for sample_size, wanted in ((128, True), (16, False)):
        component = component_for("PixArtTransformer2DModel", {**tiny, "sample_size": sample_size}, "float16")
        added = component.inputs["added_cond_kwargs"]
        assert isinstance(added, dict)
        assert all(value is not None for value in added.values()) is wanted
        assert run(component, height=128, width=128)[0].shape == (2, 8, 16, 16)


def test_flux_names_the_axes_its_tokens_are_packed_from() -> None:
    component = component_for("FluxTransformer2DModel", {"guidance_embeds": True}, "bfloat16")
    assert getattr(component.inputs["hidden_states"], "axes", None) == {1: ("height", "width")}
    assert "guidance" in component.inputs
    assert "guidance" not in component_for("FluxTransformer2DModel", {}, "bfloat16").inputs


def test_uvit_counts_its_micro_conditions() -> None:
    component = component_for("UVit2DModel", {}, "float16")
    assert getattr(component.inputs["micro_conds"], "shape", None) == ("batch", 5)
    with pytest.raises(UnknownArchitectureError, match="not a multiple"):
        component_for("UVit2DModel", {"micro_cond_embed_dim": 1000}, "float16")
