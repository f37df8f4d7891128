"""Latents as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.sources.decoding import decoder_of


def test_decodes_as_diffusers_does(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4, scaling_factor=0.5)
    vae.save_pretrained(tmp_path / "vae")
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    made = decoder_of(tmp_path)(latents)
    with torch.no_grad():
        wanted = vae.eval().decode(latents / 0.5).sample.clamp(-1, 1)
    assert made.shape == (2, 3, 8, 8)
    assert torch.allclose(made, wanted, atol=1e-5)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="has no vae"):
        decoder_of(tmp_path)
