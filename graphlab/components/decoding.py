"""Modules that stand for one method of an autoencoder. Imports torch: import it inside `build` only."""

from __future__ import annotations

from typing import Any

import torch


class LatentDecoder(torch.nn.Module):
    """`autoencoder.decode`: latent (batch, channels, height/s, width/s) to image (batch, 3, height, width).

    What only encoding uses is dropped, so parameters are those a generation reads. `quantize` says whether
    the latent goes through the codebook first; None is for autoencoders that have none.
    """

    def __init__(self, autoencoder: torch.nn.Module, quantize: bool | None = None) -> None:
        super().__init__()
        for name in ("encoder", "quant_conv"):
            if hasattr(autoencoder, name):
                setattr(autoencoder, name, None)
        self.autoencoder: Any = autoencoder
        self.options = {} if quantize is None else {"force_not_quantize": not quantize}

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        image: torch.Tensor = self.autoencoder.decode(latent, return_dict=False, **self.options)[0]
        return image


class TokenDecoder(LatentDecoder):
    """`autoencoder.decode` of a VQModel that looks codes up: tokens (batch, height/s, width/s) to an image.

    Called as in diffusers pipelines/deprecated/amused/pipeline_amused.py.
    """

    def __init__(self, autoencoder: torch.nn.Module, channels: int) -> None:
        super().__init__(autoencoder, quantize=False)
        self.channels = channels

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        shape = (*tokens.shape, self.channels)
        image: torch.Tensor = self.autoencoder.decode(tokens, return_dict=False, shape=shape, **self.options)[0]
        return image
