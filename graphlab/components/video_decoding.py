"""Modules that stand for one method of a video autoencoder. Imports torch: import it inside `build` only."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.components.decoding import LatentDecoder


class FrameDecoder(LatentDecoder):
    """`decode` of an autoencoder that is told the number of frames.

    Called as decode_latents does with decode_chunk_size = frames, its default.
    """

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """latent (batch, frames, channels, height/8, width/8) -> frames (batch * frames, 3, height, width)."""
        frames = latent.shape[1]
        video: torch.Tensor = self.autoencoder.decode(latent.flatten(0, 1), num_frames=frames, return_dict=False)[0]
        return video


class TimedDecoder(torch.nn.Module):
    """`decode` of an autoencoder that is told the noise left in its latent (LTX-Video 0.9.1 and later)."""

    def __init__(self, autoencoder: torch.nn.Module) -> None:
        super().__init__()
        self.autoencoder: Any = LatentDecoder(autoencoder).autoencoder

    def forward(self, latent: torch.Tensor, temb: torch.Tensor) -> torch.Tensor:
        """latent (batch, channels, latent frames, height/32, width/32), temb (batch,) -> a video."""
        video: torch.Tensor = self.autoencoder.decode(latent, temb, return_dict=False)[0]
        return video


class ImageEncoder(torch.nn.Module):
    """`encode` of an autoencoder, up to the mode of the latent distribution."""

    def __init__(self, autoencoder: torch.nn.Module) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder
        setattr(autoencoder, "decoder", None)  # noqa: B010 (only decoding uses it; typed as a tensor or a module)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """image (batch, 3, height, width) -> latent (batch, channels, height/8, width/8)."""
        latent: torch.Tensor = self.autoencoder.encode(image, return_dict=False)[0].mode()
        return latent
