"""Tiny instances of the model classes the op table must cover: {name: build() -> (module, kwargs)}.

Made under `torch.device(DEVICE.get(name, "meta"))`. Widths are the smallest each class accepts; topology is the class's own, so the operators are the same as in
the published models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Case = Callable[[], tuple[torch.nn.Module, dict[str, Any]]]
CASES: dict[str, Case] = {}
DEVICE = {"mochi": "cpu"}  # its forward opens an autocast of the tensors' device type, which meta has none of

DOWN, UP = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"


def case(build: Case) -> Case:
    """Register `build` under its own name."""
    CASES[build.__name__] = build
    return build


def rand(*shape: int) -> torch.Tensor:
    """A float32 tensor."""
    return torch.randn(shape)


def ints(*shape: int) -> torch.Tensor:
    """An int64 tensor of zeros."""
    return torch.zeros(shape, dtype=torch.int64)


def mask(*shape: int) -> torch.Tensor:
    """A bool tensor."""
    return torch.ones(shape, dtype=torch.bool)


def _unet2d(**config: Any) -> torch.nn.Module:
    from diffusers import UNet2DConditionModel

    base: dict[str, Any] = {
        "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": (DOWN, "DownBlock2D"), "up_block_types": ("UpBlock2D", UP),
        "cross_attention_dim": 8, "attention_head_dim": 2,
    }  # fmt: skip
    return UNet2DConditionModel(**{**base, **config})


def _sd(module: torch.nn.Module, side: int = 8, channels: int = 4) -> tuple[torch.nn.Module, dict[str, Any]]:
    return module, {
        "sample": rand(2, channels, side, side), "timestep": ints(), "encoder_hidden_states": rand(2, 5, 8), "return_dict": False,
    }  # fmt: skip


@case
def sd15() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _sd(_unet2d())


@case
def sd15_odd_size() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _sd(_unet2d(), side=9)


@case
def sd15_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers.models.attention_processor import AttnProcessor

    module = _unet2d()
    module.set_attn_processor(AttnProcessor())
    return _sd(module)


@case
def sd15_masked() -> tuple[torch.nn.Module, dict[str, Any]]:
    module, kwargs = _sd(_unet2d())
    return module, {**kwargs, "encoder_attention_mask": mask(2, 5)}


@case
def sdxl() -> tuple[torch.nn.Module, dict[str, Any]]:
    module = _unet2d(
        down_block_types=("DownBlock2D", DOWN), up_block_types=(UP, "UpBlock2D"), use_linear_projection=True,
        transformer_layers_per_block=(1, 2), addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=4 * 6 + 8,
    )  # fmt: skip
    _, kwargs = _sd(module)
    return module, {**kwargs, "added_cond_kwargs": {"text_embeds": rand(2, 8), "time_ids": rand(2, 6)}}


def _deepfloyd(**config: Any) -> torch.nn.Module:
    return _unet2d(
        in_channels=3, out_channels=6, down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        resnet_time_scale_shift="scale_shift", act_fn="gelu", encoder_hid_dim=6, encoder_hid_dim_type="text_proj",
        addition_embed_type="text", addition_embed_type_num_heads=2, cross_attention_dim=8, **config,
    )  # fmt: skip


@case
def deepfloyd_if() -> tuple[torch.nn.Module, dict[str, Any]]:
    _, kwargs = _sd(torch.nn.Identity(), channels=3)
    return _deepfloyd(), {**kwargs, "encoder_hidden_states": rand(2, 5, 6), "encoder_attention_mask": mask(2, 5)}


@case
def deepfloyd_if_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers.models.attention_processor import AttnAddedKVProcessor

    module = _deepfloyd()
    module.set_attn_processor(AttnAddedKVProcessor())
    _, kwargs = _sd(torch.nn.Identity(), channels=3)
    return module, {**kwargs, "encoder_hidden_states": rand(2, 5, 6)}


@case
def controlnet() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import ControlNetModel

    module = ControlNetModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, down_block_types=(DOWN, "DownBlock2D"),
        cross_attention_dim=8, attention_head_dim=2, conditioning_embedding_out_channels=(4, 8),
    )  # fmt: skip
    _, kwargs = _sd(module)
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
        block_out_channels=(8, 16), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4, latent_channels=4,
    )  # fmt: skip


@case
def vae_decoder() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Decoder(_vae()), {"z": rand(2, 4, 4, 4)}


@case
def vae() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _vae(), {"sample": rand(2, 3, 8, 8), "return_dict": False}


def _text_config() -> dict[str, Any]:
    return {
        "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 32,
        "max_position_embeddings": 16,
    }  # fmt: skip


@case
def clip_text() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**_text_config())), {"input_ids": ints(2, 7), "return_dict": False}


@case
def clip_text_projection() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(**_text_config(), hidden_act="gelu", projection_dim=8, attn_implementation="eager")
    module = CLIPTextModelWithProjection(config)
    return module, {"input_ids": ints(2, 7), "attention_mask": ints(2, 7), "return_dict": False}


@case
def t5_encoder() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, vocab_size=32, feed_forward_proj="gated-gelu")
    return T5EncoderModel(config), {"input_ids": ints(2, 7), "attention_mask": ints(2, 7), "return_dict": False}


class Cached(torch.nn.Module):
    """A causal language model with its cache as flat tensors."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, past: list[torch.Tensor]) -> list[torch.Tensor]:
        from transformers import DynamicCache

        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        result = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True)
        return [result.logits, *(t for layer in result.past_key_values.layers for t in (layer.keys, layer.values))]


def _decoder(kind: str, eager: bool = False, **config: Any) -> torch.nn.Module:
    import transformers

    base = {**_text_config(), "num_key_value_heads": 1, **config}
    made = getattr(transformers, f"{kind}Config")(**base, attn_implementation="eager" if eager else "sdpa")
    module: torch.nn.Module = getattr(transformers, f"{kind}ForCausalLM")(made)
    return module


@case
def llama_prefill() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Llama"), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def llama_decode() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Cached(_decoder("Llama")), {"input_ids": ints(2, 1), "past": [rand(2, 1, 5, 4), rand(2, 1, 5, 4)]}


@case
def llama_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Llama", eager=True), {"input_ids": ints(2, 7), "attention_mask": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def qwen2() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Cached(_decoder("Qwen2")), {"input_ids": ints(2, 2), "past": [rand(2, 1, 5, 4), rand(2, 1, 5, 4)]}


@case
def gemma2() -> tuple[torch.nn.Module, dict[str, Any]]:
    module = _decoder("Gemma2", eager=True, head_dim=4, num_hidden_layers=2)
    return module, {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def mistral() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Mistral", sliding_window=4), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def gpt2() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=32, n_positions=16)
    return GPT2LMHeadModel(config), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def sd3() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import SD3Transformer2DModel

    module = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=4, num_attention_heads=2,
        joint_attention_dim=8, caption_projection_dim=8, pooled_projection_dim=6, pos_embed_max_size=8,
        qk_norm="rms_norm", dual_attention_layers=(0,),
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 4, 8, 8), "encoder_hidden_states": rand(2, 5, 8), "pooled_projections": rand(2, 6),
        "timestep": ints(2), "return_dict": False,
    }  # fmt: skip


@case
def flux() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import FluxTransformer2DModel

    module = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=8, pooled_projection_dim=6, guidance_embeds=True, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 16, 4), "encoder_hidden_states": rand(2, 5, 8), "pooled_projections": rand(2, 6),
        "timestep": rand(2), "guidance": rand(2), "img_ids": rand(16, 3), "txt_ids": rand(5, 3), "return_dict": False,
    }  # fmt: skip


@case
def pixart() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import PixArtTransformer2DModel

    module = PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=6, in_channels=4, out_channels=8, num_layers=1, cross_attention_dim=12,
        sample_size=128, patch_size=2, caption_channels=6, use_additional_conditions=True,
    )  # fmt: skip
    added = {"resolution": rand(2, 2), "aspect_ratio": rand(2, 1)}
    return module, {
        "hidden_states": rand(2, 4, 8, 8), "encoder_hidden_states": rand(2, 5, 6), "timestep": ints(2),
        "added_cond_kwargs": added, "encoder_attention_mask": mask(2, 5), "return_dict": False,
    }  # fmt: skip


@case
def dit() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import DiTTransformer2DModel

    module = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=4, in_channels=4, out_channels=8, num_layers=1, sample_size=8, norm_num_groups=4,
        num_embeds_ada_norm=10,
    )  # fmt: skip
    return module, {"hidden_states": rand(2, 4, 8, 8), "timestep": ints(2), "class_labels": ints(2), "return_dict": False}


@case
def amused_uvit() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UVit2DModel

    module = UVit2DModel(
        hidden_size=8, cond_embed_dim=8, micro_cond_encode_dim=2, micro_cond_embed_dim=10, encoder_hidden_size=8, vocab_size=32,
        codebook_size=32, in_channels=8, block_out_channels=8, num_res_blocks=1, block_num_heads=2, num_hidden_layers=1,
        num_attention_heads=2, intermediate_size=16,
    )  # fmt: skip
    return module, {
        "input_ids": ints(2, 4, 4), "encoder_hidden_states": rand(2, 5, 8), "pooled_text_emb": rand(2, 8), "micro_conds": rand(2, 5),
    }  # fmt: skip


@case
def unet3d() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNet3DConditionModel

    module = UNet3DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
        attention_head_dim=4, down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
    )  # fmt: skip
    _, kwargs = _sd(module)
    return module, {**kwargs, "sample": rand(2, 4, 3, 8, 8)}


@case
def animatediff() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNetMotionModel

    module = UNetMotionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
        num_attention_heads=2, motion_num_attention_heads=2, motion_max_seq_length=8,
        down_block_types=("CrossAttnDownBlockMotion", "DownBlockMotion"), up_block_types=("UpBlockMotion", "CrossAttnUpBlockMotion"),
    )  # fmt: skip
    _, kwargs = _sd(module)
    return module, {**kwargs, "sample": rand(2, 4, 3, 8, 8), "encoder_hidden_states": rand(2 * 3, 5, 8)}


@case
def stable_video_diffusion() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import UNetSpatioTemporalConditionModel

    module = UNetSpatioTemporalConditionModel(
        sample_size=8, in_channels=8, block_out_channels=(32, 64), addition_time_embed_dim=4, projection_class_embeddings_input_dim=12,
        layers_per_block=1, cross_attention_dim=8, num_attention_heads=(2, 4), num_frames=3,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    )  # fmt: skip
    return module, {
        "sample": rand(2, 3, 8, 8, 8), "timestep": ints(), "encoder_hidden_states": rand(2, 1, 8), "added_time_ids": rand(2, 3),
        "return_dict": False,
    }  # fmt: skip


@case
def cogvideox() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import CogVideoXTransformer3DModel

    module = CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, time_embed_dim=8, text_embed_dim=8, num_layers=1,
        sample_width=8, sample_height=8, sample_frames=9, max_text_seq_length=5,
    )  # fmt: skip
    return module, {"hidden_states": rand(2, 3, 4, 8, 8), "encoder_hidden_states": rand(2, 5, 8), "timestep": ints(2), "return_dict": False}


@case
def wan() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import WanTransformer3DModel

    module = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=8, freq_dim=8,
        ffn_dim=16, num_layers=1, rope_max_seq_len=32,
    )  # fmt: skip
    return module, {"hidden_states": rand(2, 4, 3, 8, 8), "timestep": ints(2), "encoder_hidden_states": rand(2, 5, 8), "return_dict": False}


@case
def ltx_video() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import LTXVideoTransformer3DModel

    module = LTXVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, cross_attention_dim=32, num_layers=1, caption_channels=8,
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 24, 4), "encoder_hidden_states": rand(2, 5, 8), "timestep": ints(2), "encoder_attention_mask": mask(2, 5),
        "num_frames": 2, "height": 3, "width": 4, "return_dict": False,
    }  # fmt: skip


@case
def hunyuan_video() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import HunyuanVideoTransformer3DModel

    module = HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, text_embed_dim=8, pooled_projection_dim=8, rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 4, 3, 8, 8), "timestep": ints(2), "encoder_hidden_states": rand(2, 5, 8),
        "encoder_attention_mask": ints(2, 5), "pooled_projections": rand(2, 8), "guidance": rand(2), "return_dict": False,
    }  # fmt: skip


@case
def mochi() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import MochiTransformer3DModel

    module = MochiTransformer3DModel(
        patch_size=2, num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16, in_channels=4,
        text_embed_dim=8, time_embed_dim=4, max_sequence_length=5,
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 4, 3, 8, 8), "encoder_hidden_states": rand(2, 5, 8), "timestep": ints(2),
        "encoder_attention_mask": mask(2, 5), "return_dict": False,
    }  # fmt: skip


@case
def sana() -> tuple[torch.nn.Module, dict[str, Any]]:
    from diffusers import SanaTransformer2DModel

    module = SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=4, num_layers=1, num_cross_attention_heads=2,
        cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8, sample_size=8, patch_size=1,
    )  # fmt: skip
    return module, {
        "hidden_states": rand(2, 4, 8, 8), "encoder_hidden_states": rand(2, 5, 8), "timestep": ints(2),
        "encoder_attention_mask": mask(2, 5), "return_dict": False,
    }  # fmt: skip
