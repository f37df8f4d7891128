"""Tiny text-to-image transformers."""

from __future__ import annotations

from typing import Any

import torch

from tests.ops.tiny_case import case, ints, mask, rand


@case
def sd3() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import SD3Transformer2DModel

    module = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pooled_projection_dim=6,
        pos_embed_max_size=8,
        qk_norm="rms_norm",
        dual_attention_layers=(0,),
    )
    return module, {
        "hidden_states": rand(2, 4, 8, 8),
        "encoder_hidden_states": rand(2, 5, 8),
        "pooled_projections": rand(2, 6),
        "timestep": ints(2),
        "return_dict": False,
    }


@case
def flux() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import FluxTransformer2DModel

    module = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8,
        pooled_projection_dim=6,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    return module, {
        "hidden_states": rand(2, 16, 4),
        "encoder_hidden_states": rand(2, 5, 8),
        "pooled_projections": rand(2, 6),
        "timestep": rand(2),
        "guidance": rand(2),
        "img_ids": rand(16, 3),
        "txt_ids": rand(5, 3),
        "return_dict": False,
    }


@case
def pixart() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import PixArtTransformer2DModel

    module = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=6,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        cross_attention_dim=12,
        sample_size=128,
        patch_size=2,
        caption_channels=6,
        use_additional_conditions=True,
    )
    added = {"resolution": rand(2, 2), "aspect_ratio": rand(2, 1)}
    return module, {
        "hidden_states": rand(2, 4, 8, 8),
        "encoder_hidden_states": rand(2, 5, 6),
        "timestep": ints(2),
        "added_cond_kwargs": added,
        "encoder_attention_mask": mask(2, 5),
        "return_dict": False,
    }


@case
def dit() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import DiTTransformer2DModel

    module = DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        sample_size=8,
        norm_num_groups=4,
        num_embeds_ada_norm=10,
    )
    return module, {
        "hidden_states": rand(2, 4, 8, 8),
        "timestep": ints(2),
        "class_labels": ints(2),
        "return_dict": False,
    }


@case
def amused_uvit() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UVit2DModel

    module = UVit2DModel(
        hidden_size=8,
        cond_embed_dim=8,
        micro_cond_encode_dim=2,
        micro_cond_embed_dim=10,
        encoder_hidden_size=8,
        vocab_size=32,
        codebook_size=32,
        in_channels=8,
        block_out_channels=8,
        num_res_blocks=1,
        block_num_heads=2,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    return module, {
        "input_ids": ints(2, 4, 4),
        "encoder_hidden_states": rand(2, 5, 8),
        "pooled_text_emb": rand(2, 8),
        "micro_conds": rand(2, 5),
    }


@case
def sana() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import SanaTransformer2DModel

    module = SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=4,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=8,
        patch_size=1,
    )
    return module, {
        "hidden_states": rand(2, 4, 8, 8),
        "encoder_hidden_states": rand(2, 5, 8),
        "timestep": ints(2),
        "encoder_attention_mask": mask(2, 5),
        "return_dict": False,
    }
