"""Latents of a pipeline as pictures, by the autoencoder in its folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError

Decode = Callable[[torch.Tensor], torch.Tensor]
"""Latents (images, channels, height, width) to pictures (images, 3, height, width) in [-1, 1]."""


def decoder_of(folder: Path) -> Decode:
    """The decoder in `folder`/vae, an AutoencoderKL in float32; EraseError for a folder without one."""
    from diffusers import AutoencoderKL

    home = folder / "vae"
    if not list(home.glob("*.safetensors")):
        raise EraseError(f"{folder} has no vae in safetensors to make pictures with")
    try:
        vae = AutoencoderKL.from_pretrained(
            home, torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise EraseError(f"{home} cannot be read as an AutoencoderKL: {error}") from error
    vae = vae.eval().requires_grad_(False)
    scale, shift = vae.config.scaling_factor, vae.config.shift_factor or 0.0

    @torch.no_grad()
    def decode(latents: torch.Tensor) -> torch.Tensor:
        made = [vae.decode(latent[None] / scale + shift).sample.clamp(-1, 1) for latent in latents]
        return torch.cat(made)

    return decode
