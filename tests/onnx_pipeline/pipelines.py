"""Tiny pipelines of diffusers with random weights, saved as folders as published ones are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

CLIP_TOKENS = 16
UNET: dict[str, Any] = {
    "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "cross_attention_dim": 32, "attention_head_dim": 4,
}  # fmt: skip
XL_UNET: dict[str, Any] = {
    **UNET, "cross_attention_dim": 64, "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80, "use_linear_projection": True,
}  # fmt: skip
VAE: dict[str, Any] = {
    "block_out_channels": (16, 32), "norm_num_groups": 8, "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2, "layers_per_block": 1,
}  # fmt: skip
VAE_16 = {**VAE, "latent_channels": 4, "shift_factor": 0.06, "scaling_factor": 1.5, "use_post_quant_conv": False}
SD3: dict[str, Any] = {
    "sample_size": 8, "patch_size": 2, "in_channels": 4, "out_channels": 4, "num_layers": 2, "attention_head_dim": 8,
    "num_attention_heads": 4, "joint_attention_dim": 64, "caption_projection_dim": 32, "pooled_projection_dim": 64,
    "pos_embed_max_size": 16,
}  # fmt: skip
FLUX: dict[str, Any] = {
    "in_channels": 16, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16, "num_attention_heads": 2,
    "joint_attention_dim": 64, "pooled_projection_dim": 32, "axes_dims_rope": (4, 6, 6), "guidance_embeds": True,
}  # fmt: skip
DIT: dict[str, Any] = {
    "sample_size": 8, "in_channels": 4, "out_channels": 8, "num_layers": 2, "attention_head_dim": 8,
    "num_attention_heads": 4, "num_embeds_ada_norm": 1000,
}  # fmt: skip
LTX: dict[str, Any] = {
    "in_channels": 8, "out_channels": 8, "num_attention_heads": 4, "attention_head_dim": 8, "cross_attention_dim": 32,
    "num_layers": 1, "caption_channels": 64,
}  # fmt: skip
LTX_VAE: dict[str, Any] = {
    "latent_channels": 8, "block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4, "patch_size": 1,
    "layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5,
    "spatio_temporal_scaling": (True, True, False, False),
    "decoder_spatio_temporal_scaling": (True, True, False, False),
}  # fmt: skip
T5: dict[str, Any] = {
    "vocab_size": 40, "d_model": 64, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
}  # fmt: skip
CLIP: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 100,
    "max_position_embeddings": CLIP_TOKENS, "projection_dim": 32, "bos_token_id": 98, "eos_token_id": 99,
    "pad_token_id": 99,
}  # fmt: skip


def tokenizer(folder: Path) -> Any:
    """A CLIP tokenizer whose vocabulary is letters and one word."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(97, 123)]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "lo", "low</w>"]
    vocabulary = {name: index for index, name in enumerate(names)}
    vocabulary |= {"<|startoftext|>": 98, "<|endoftext|>": 99}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nl o\nlo w</w>\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=CLIP_TOKENS, unk_token="<|endoftext|>"
    )


def seeded(seed: int = 0) -> None:
    torch.manual_seed(seed)


def text_model(kind: str = "CLIPTextModel", **changes: Any) -> Any:
    import transformers

    config = transformers.CLIPTextConfig(**{**CLIP, **changes})
    return getattr(transformers, kind)(config).eval()


def stable_diffusion(folder: Path, scheduler: str = "EulerDiscreteScheduler") -> Any:
    """A StableDiffusionPipeline at 16 x 16 pixels, saved in `folder`."""
    import diffusers

    seeded()
    pipe = diffusers.StableDiffusionPipeline(
        vae=diffusers.AutoencoderKL(**VAE).eval(),
        text_encoder=text_model(),
        tokenizer=tokenizer(folder / "made"),
        unet=diffusers.UNet2DConditionModel(**UNET).eval(),
        scheduler=getattr(diffusers, scheduler)(beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return saved(pipe, folder)


def stable_diffusion_xl(folder: Path) -> Any:
    """A StableDiffusionXLPipeline at 16 x 16 pixels, saved in `folder`."""
    import diffusers

    seeded()
    pipe = diffusers.StableDiffusionXLPipeline(
        vae=diffusers.AutoencoderKL(**VAE, scaling_factor=0.13025, force_upcast=False).eval(),
        text_encoder=text_model(),
        text_encoder_2=text_model("CLIPTextModelWithProjection"),
        tokenizer=tokenizer(folder / "made"),
        tokenizer_2=tokenizer(folder / "made"),
        unet=diffusers.UNet2DConditionModel(**XL_UNET).eval(),
        scheduler=diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", timestep_spacing="linspace"),
        add_watermarker=False,
    )
    return saved(pipe, folder)


def stable_diffusion_3(folder: Path) -> Any:
    """A StableDiffusion3Pipeline at 16 x 16 pixels, with both CLIP encoders and T5, saved in `folder`."""
    import diffusers

    seeded()
    pipe = diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(**SD3).eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=diffusers.AutoencoderKL(**VAE_16).eval(),
        text_encoder=text_model("CLIPTextModelWithProjection"),
        text_encoder_2=text_model("CLIPTextModelWithProjection"),
        text_encoder_3=t5(),
        tokenizer=tokenizer(folder / "made"),
        tokenizer_2=tokenizer(folder / "made"),
        tokenizer_3=t5_tokenizer(),
    )
    return saved(pipe, folder)


def flux(folder: Path) -> Any:
    """A FluxPipeline at 16 x 16 pixels, saved in `folder`."""
    import diffusers

    seeded()
    pipe = diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(**FLUX).eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=diffusers.AutoencoderKL(**VAE_16).eval(),
        text_encoder=text_model(),
        text_encoder_2=t5(),
        tokenizer=tokenizer(folder / "made"),
        tokenizer_2=t5_tokenizer(),
    )
    return saved(pipe, folder)


def dit(folder: Path) -> Any:
    """A DiTPipeline at 16 x 16 pixels with the 1000 classes of ImageNet, saved in `folder`."""
    import diffusers

    seeded()
    pipe = diffusers.DiTPipeline(
        transformer=diffusers.DiTTransformer2DModel(**DIT).eval(),
        scheduler=diffusers.DDIMScheduler(clip_sample=False),
        vae=diffusers.AutoencoderKL(**VAE).eval(),
    )
    return saved(pipe, folder)


def ltx(folder: Path) -> Any:
    """An LTXPipeline at 9 frames of 32 x 32 pixels whose latents have means and deviations, saved in `folder`."""
    import diffusers

    seeded()
    vae = diffusers.AutoencoderKLLTXVideo(**LTX_VAE).eval()
    vae.latents_mean.normal_()
    vae.latents_std.uniform_(0.5, 1.5)
    pipe = diffusers.LTXPipeline(
        transformer=diffusers.LTXVideoTransformer3DModel(**LTX).eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1),
        vae=vae,
        text_encoder=t5(),
        tokenizer=t5_tokenizer(),
    )
    return saved(pipe, folder)


def t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(**T5)).eval()


def t5_tokenizer() -> Any:
    """A T5 tokenizer of letters."""
    from transformers import T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0)]
    pieces += [(chr(code), -2.0) for code in range(97, 123)]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=32)


def saved(pipe: Any, folder: Path) -> Any:
    """`pipe`, saved in `folder`/source in the form of published folders, which older versions read as well."""
    pipe.set_progress_bar_config(disable=True)
    source = folder / "source"
    pipe.save_pretrained(source)
    for name in ("tokenizer", "tokenizer_2"):
        if type(getattr(pipe, name, None)).__name__.startswith("CLIP"):
            for file in ("vocab.json", "merges.txt"):
                shutil.copyfile(folder / "made" / file, source / name / file)
    for path in source.glob("tokenizer*/tokenizer_config.json"):
        content = json.loads(path.read_text())
        content.pop("extra_special_tokens", None)
        path.write_text(json.dumps(content))
    index = source / "model_index.json"
    index.write_text(index.read_text().replace('"T5Tokenizer"', '"T5TokenizerFast"'))
    if type(getattr(pipe, "text_encoder", None)).__name__ == "CLIPTextModel":
        _prefix(source / "text_encoder" / "model.safetensors", "text_model.")
    return pipe


def _prefix(path: Path, prefix: str) -> None:
    """Writes the weights at `path` under keys that all start with `prefix`."""
    held = load_file(path)
    named = {f"{prefix}{key.removeprefix(prefix)}": value.clone() for key, value in held.items()}
    save_file(named, path, metadata={"format": "pt"})
