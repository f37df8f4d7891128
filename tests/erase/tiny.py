"""Sources that are made in no time: a narrow untrained base, and a tiny pipeline with a tokenizer of letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.worlds.base import BaseConfig, new_base
from graphlab.erase.worlds.base_file import save_base

TOKENS = 12
WIDTH = 16


def base_file(folder: Path, seed: int = 0, world: str = "digits") -> Path:
    """A base whose texts matter as much as after training: untrained, they would hardly change what is predicted."""
    base = new_base(BaseConfig(world, channels=(8, 16)), seed)
    stir(base.unet)
    path = folder / f"{world}-{seed}.safetensors"
    save_base(base, path)
    return path


def stir(unet: Any) -> None:
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2" in name or "conv_out" in name:
                parameter.mul_(8)


def pipeline(folder: Path, seed: int = 0, **unet: Any) -> Path:
    """A folder as diffusers writes one: unet, text_encoder, tokenizer, scheduler."""
    from diffusers import DDIMScheduler

    _unet(folder / "unet", seed, unet)
    vocabulary = _tokenizer(folder / "tokenizer")
    _encoder(folder / "text_encoder", seed, vocabulary)
    DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    return folder


def _unet(folder: Path, seed: int, changes: dict[str, Any]) -> None:
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            **{
                "sample_size": 8,
                "in_channels": 4,
                "out_channels": 4,
                "block_out_channels": (8, 16),
                "layers_per_block": 1,
                "norm_num_groups": 4,
                "cross_attention_dim": WIDTH,
                "attention_head_dim": 2,
                "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
                "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
                **changes,
            }
        )
    stir(unet)
    unet.save_pretrained(folder)


def _tokenizer(folder: Path) -> dict[str, int]:
    """Letters, alone and at the end of a word: there are no merges."""
    letters = [letter + end for letter in "abcdefghijklmnopqrstuvwxyz" for end in ("", "</w>")]
    vocabulary = {token: index for index, token in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS})
    )
    return vocabulary


def _encoder(folder: Path, seed: int, vocabulary: dict[str, int]) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TOKENS,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = CLIPTextModel(config)
    encoder.save_pretrained(folder)


def edit_json(path: Path, **changes: Any) -> None:
    """Changes entries of a JSON object in a file; None takes one away."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
