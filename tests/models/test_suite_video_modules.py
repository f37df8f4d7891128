"""Modules of graphlab.architectures: what reaches what, and where every patch of pixels lands."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from graphlab.architectures.causal_attention import CausalProcessor
from graphlab.architectures.cvivit import CViViTDecoder, CViViTEncoder
from graphlab.architectures.vit_vqgan import ViTVQGANDecoder
from graphlab.architectures.wdsr import WDSR
from graphlab.models.parti import TINY_VQGAN
from graphlab.models.phenaki import TINY_CVIVIT


def randomized(module: torch.nn.Module) -> Any:
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3)
    return module.eval().requires_grad_(False)


def test_the_tokenizer_is_causal_and_the_first_frame_stands_alone() -> None:
    encoder = randomized(CViViTEncoder(TINY_CVIVIT))
    video = torch.randn(1, 3, 5, 32, 32)
    later = video.clone()
    later[:, :, 3:] = torch.randn(1, 3, 2, 32, 32)
    with torch.no_grad():
        tokens, other = encoder(video), encoder(later)
    assert tokens.shape == (1, 3, 4, 4)
    assert (tokens[:, :2] == other[:, :2]).all()
    assert (tokens[:, 2] != other[:, 2]).any()


def test_the_detokenizer_puts_every_patch_in_its_place() -> None:
    """The head's output at (frame, row, column) lands at that patch, two frames a latent one after the first."""
    decoder = randomized(CViViTDecoder(TINY_CVIVIT))
    patches = torch.zeros(1, 2, 4, 4, 2 * 3 * 64)
    patches[0, 1, 2, 3] = torch.arange(384.0)
    frames = decoder._pixels(patches)
    assert frames.shape == (1, 4, 3, 32, 32)
    assert (frames[0, 2:, :, 16:24, 24:32] == torch.arange(384.0).view(2, 3, 8, 8)).all()
    assert frames.count_nonzero() == 383
    with torch.no_grad():
        assert decoder(torch.randint(0, 64, (1, 6, 4, 4))).shape == (1, 3, 11, 32, 32)


def test_causal_attention_is_that_of_the_block_under_a_mask() -> None:
    from diffusers.models.attention_processor import Attention

    attention = randomized(Attention(16, heads=2, dim_head=8))
    states = torch.randn(1, 5, 16)
    mask = torch.full((1, 5, 5), float("-inf")).triu(1)
    expected = attention(states, attention_mask=mask)
    attention.set_processor(CausalProcessor())
    torch.testing.assert_close(attention(states), expected)
    with pytest.raises(ValueError, match="mask"):
        CausalProcessor()(attention, states, attention_mask=mask)


def test_super_resolution_is_a_bigger_image_of_the_same_content() -> None:
    """With residual blocks silent what is left is the skip convolution: a pixel stays where it was."""
    network = randomized(WDSR({"blocks": 1, "channels": 4, "expansion": 2, "scale": 2}))
    for parameter in network.tail.parameters():
        parameter.data.zero_()
    image = torch.zeros(1, 3, 8, 8)
    image[0, :, 4, 5] = 1
    found = network(image) - network(torch.zeros(1, 3, 8, 8))
    rows, columns = found[0].abs().sum(0).nonzero(as_tuple=True)
    assert found.shape == (1, 3, 16, 16)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (4, 13, 6, 15)


def test_vit_vqgan_puts_every_patch_in_its_place() -> None:
    decoder = randomized(ViTVQGANDecoder({**TINY_VQGAN, "layers": 0}))
    tokens = torch.zeros(1, 3, 4, dtype=torch.int64)
    decoder.positions.data.zero_()
    other = tokens.clone()
    other[0, 2, 1] = 5
    changed = (decoder(other) - decoder(tokens))[0].abs().sum(0).nonzero(as_tuple=True)
    assert decoder(tokens).shape == (1, 3, 24, 32)
    assert {int(r) // 8 for r in changed[0]} == {2}
    assert {int(c) // 8 for c in changed[1]} == {1}
