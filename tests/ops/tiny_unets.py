"""Tiny U-Nets of the Stable Diffusion and DeepFloyd families, their ControlNet and autoencoder."""

from __future__ import annotations

from typing import Any

import torch

from tests.ops.tiny_case import case, ints, mask, rand

DOWN, UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"


def _unet2d(**config: Any) -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    base: dict[str, Any] = {
        "sample_size": 8,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "down_block_types": (DOWN, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", UP),
        "cross_attention_dim": 8,
        "attention_head_dim": 2,
    }
    return UNet2DConditionModel(**{**base, **config})


def sd_inputs(module: torch.nn.Module, side: int = 8, channels: int = 4) -> tuple[torch.nn.Module, dict[str, Any]]:
    return module, {
        "sample": rand(2, channels, side, side),
        "timestep": ints(),
        "encoder_hidden_states": rand(2, 5, 8),
        "return_dict": False,
    }


@case
def sd15() -> tuple[torch.nn.Module, dict[str, Any]]:
    return sd_inputs(_unet2d())


@case
def sd15_odd_size() -> tuple[torch.nn.Module, dict[str, Any]]:
    return sd_inputs(_unet2d(), side=9)


@case
def sd15_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers.models.attention_processor import AttnProcessor

    module = _unet2d()
    module.set_attn_processor(AttnProcessor())
    return sd_inputs(module)


@case
def sd15_masked() -> tuple[torch.nn.Module, dict[str, Any]]:
    module, kwargs = sd_inputs(_unet2d())
    return module, {**kwargs, "encoder_attention_mask": mask(2, 5)}


@case
def sdxl() -> tuple[torch.nn.Module, dict[str, Any]]:
    module = _unet2d(
        down_block_types=("DownBlock2D", DOWN),
        up_block_types=(UP, "UpBlock2D"),
        use_linear_projection=True,
        transformer_layers_per_block=(1, 2),
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=4 * 6 + 8,
    )
    _, kwargs = sd_inputs(module)
    return module, {**kwargs, "added_cond_kwargs": {"text_embeds": rand(2, 8), "time_ids": rand(2, 6)}}


def _deepfloyd(**config: Any) -> torch.nn.Module:
    return _unet2d(
        in_channels=3,
        out_channels=6,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        resnet_time_scale_shift="scale_shift",
        act_fn="gelu",
        encoder_hid_dim=6,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_dim=8,
        **config,
    )


@case
def deepfloyd_if() -> tuple[torch.nn.Module, dict[str, Any]]:
    _, kwargs = sd_inputs(torch.nn.Identity(), channels=3)
    return _deepfloyd(), {**kwargs, "encoder_hidden_states": rand(2, 5, 6), "encoder_attention_mask": mask(2, 5)}


@case
def deepfloyd_if_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers.models.attention_processor import AttnAddedKVProcessor

    module = _deepfloyd()
    module.set_attn_processor(AttnAddedKVProcessor())
    _, kwargs = sd_inputs(torch.nn.Identity(), channels=3)
    return module, {**kwargs, "encoder_hidden_states": rand(2, 5, 6)}


@case
def controlnet() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import ControlNetModel

    module = ControlNetModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=(DOWN, "DownBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
        conditioning_embedding_out_channels=(4, 8),
    )
    _, kwargs = sd_inputs(module)
    return module, {**kwargs, "controlnet_cond": rand(2, 3, 16, 16)}


class Decoder(torch.nn.Module):
    """`vae.decode(z)` as a forward."""

    def __init__(self, vae: torch.nn.Module) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, z: torch.Tensor) -> Any:
        return self.vae.decode(z, return_dict=False)


def _vae() -> torch.nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
    )


@case
def vae_decoder() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Decoder(_vae()), {"z": rand(2, 4, 4, 4)}


@case
def vae() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _vae(), {"sample": rand(2, 3, 8, 8), "return_dict": False}
