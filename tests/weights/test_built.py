"""Buffers of built-in models are those of the module built with memory, to the bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from graphlab.components import causal_lm, clip_text, dit, prior_transformer, wan
from graphlab.components.base import _cast
from graphlab.loading import load
from graphlab.weights.built import built


def with_memory(constructor: Callable[[], torch.nn.Module], dtype: str) -> torch.nn.Module:
    """What `build_on_meta` makes, on the CPU."""
    module = constructor().eval().requires_grad_(False)
    _cast(module, getattr(torch, dtype), ())
    return module


@pytest.mark.parametrize(
    ("module", "model", "stage", "expected"),
    [
        (dit, "dit-xl-2-256-tiny", "transformer", {"pos_embed.pos_embed"}),
        (wan, "wan-2-1-t2v-1.3b-tiny", "transformer", {"rope.freqs_cos", "rope.freqs_sin"}),
        (prior_transformer, "make-a-video-tiny", "prior", {"causal_attention_mask"}),
        (clip_text, "stable-diffusion-v1-5-tiny", "text_encoder", {"embeddings.position_ids"}),
        (
            causal_lm,
            "llama-2-7b-tiny",
            "prefill",
            {"model.model.rotary_emb.inv_freq", "model.model.rotary_emb.original_inv_freq"},
        ),
    ],
    ids=["dit", "wan", "prior", "clip", "llama"],
)
def test_buffers_are_the_module_s(
    module: object, model: str, stage: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = built(load(model).stage(stage))
    assert found.unsaved == expected
    assert set(found.computed) >= expected
    monkeypatch.setattr(module, "build_on_meta", with_memory)
    build = load(model).stage(stage).build
    assert build is not None
    real = build()
    for key, value in found.computed.items():
        assert torch.equal(value, real.get_buffer(key)), key
        assert value.dtype == real.get_buffer(key).dtype
    assert next(real.parameters()).device.type == "cpu"
