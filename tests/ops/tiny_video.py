"""Tiny text-to-video and image-to-video models."""

from __future__ import annotations

from typing import Any

import torch

from tests.ops.tiny_case import case, ints, mask, rand
from tests.ops.tiny_unets import sd_inputs


@case
def unet3d() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNet3DConditionModel

    module = UNet3DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )
    _, kwargs = sd_inputs(module)
    return module, {**kwargs, "sample": rand(2, 4, 3, 8, 8)}


@case
def animatediff() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNetMotionModel

    module = UNetMotionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=8,
        num_attention_heads=2,
        motion_num_attention_heads=2,
        motion_max_seq_length=8,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"),
        up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
    )
    _, kwargs = sd_inputs(module)
    return module, {**kwargs, "sample": rand(2, 4, 3, 8, 8), "encoder_hidden_states": rand(2 * 3, 5, 8)}


@case
def stable_video_diffusion() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNetSpatioTemporalConditionModel

    module = UNetSpatioTemporalConditionModel(
        sample_size=8,
        in_channels=8,
        block_out_channels=(32, 64),
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=12,
        layers_per_block=1,
        cross_attention_dim=8,
        num_attention_heads=(2, 4),
        num_frames=3,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    )
    return module, {
        "sample": rand(2, 3, 8, 8, 8),
        "timestep": ints(),
        "encoder_hidden_states": rand(2, 1, 8),
        "added_time_ids": rand(2, 3),
        "return_dict": False,
    }


@case
def cogvideox() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import CogVideoXTransformer3DModel

    module = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=1,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=5,
    )
    return module, {
        "hidden_states": rand(2, 3, 4, 8, 8),
        "encoder_hidden_states": rand(2, 5, 8),
        "timestep": ints(2),
        "return_dict": False,
    }


@case
def wan() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import WanTransformer3DModel

    module = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=8,
        freq_dim=8,
        ffn_dim=16,
        num_layers=1,
        rope_max_seq_len=32,
    )
    return module, {
        "hidden_states": rand(2, 4, 3, 8, 8),
        "timestep": ints(2),
        "encoder_hidden_states": rand(2, 5, 8),
        "return_dict": False,
    }


@case
def ltx_video() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import LTXVideoTransformer3DModel

    module = LTXVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=8,
    )
    return module, {
        "hidden_states": rand(2, 24, 4),
        "encoder_hidden_states": rand(2, 5, 8),
        "timestep": ints(2),
        "encoder_attention_mask": mask(2, 5),
        "num_frames": 2,
        "height": 3,
        "width": 4,
        "return_dict": False,
    }


@case
def hunyuan_video() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import HunyuanVideoTransformer3DModel

    module = HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        text_embed_dim=8,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
    )
    return module, {
        "hidden_states": rand(2, 4, 3, 8, 8),
        "timestep": ints(2),
        "encoder_hidden_states": rand(2, 5, 8),
        "encoder_attention_mask": ints(2, 5),
        "pooled_projections": rand(2, 8),
        "guidance": rand(2),
        "return_dict": False,
    }


@case
def mochi() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import MochiTransformer3DModel

    module = MochiTransformer3DModel(
        patch_size=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        pooled_projection_dim=16,
        in_channels=4,
        text_embed_dim=8,
        time_embed_dim=4,
        max_sequence_length=5,
    )
    return module, {
        "hidden_states": rand(2, 4, 3, 8, 8),
        "encoder_hidden_states": rand(2, 5, 8),
        "timestep": ints(2),
        "encoder_attention_mask": mask(2, 5),
        "return_dict": False,
    }
