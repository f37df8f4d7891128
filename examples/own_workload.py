"""A generation of your own: a prompt read once, then a decoder whose cache grows by one token a step.

python examples/own_workload.py
graphlab analyze examples/own_workload.py:workload --set tokens=100
"""

from __future__ import annotations

import torch
from torch import nn

import graphlab
from graphlab import Stage, TensorInput, Variable, Workload

WIDTH, HEADS = 64, 4


class Attention(nn.Module):
    """New positions (batch, new, width) attend over themselves and a cache (batch, heads, cache, width / heads)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None = None, values: torch.Tensor | None = None):
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if keys is not None and values is not None:
            k, v = torch.cat((keys, k), dim=2), torch.cat((values, v), dim=2)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=keys is None)
        return self.out(mixed.transpose(1, 2).flatten(2)), k, v


def build() -> nn.Module:  # on the meta device: only shapes are needed
    return Attention().to("meta").eval()


def workload() -> Workload:
    """Sizes are text over variables; `cache` is worked out at every step; both stages share one set of weights."""
    cache = TensorInput(("batch", HEADS, "cache", WIDTH // HEADS), "float32", role="cache")
    prompt = TensorInput(("batch", "tokens", WIDTH), "float32")
    prefill = Stage("prefill", "float32", {"x": prompt}, build=build, weights="decoder")
    decode = Stage(
        "decode",
        "float32",
        {"x": TensorInput(("batch", 1, WIDTH), "float32"), "keys": cache, "values": cache},
        build=build,
        steps="new_tokens",
        step_bindings={"cache": "tokens + step"},
        weights="decoder",
    )
    sizes = (Variable("batch", 1, "sequences"), Variable("tokens", 32, "prompt"), Variable("new_tokens", 16, "steps"))
    return Workload("own-decoder", "own_workload.py", (prefill, decode), sizes)


if __name__ == "__main__":
    for stage in graphlab.analyze(workload()).stages:
        print(stage.name, f"{stage.steps} steps, {stage.flops_total} FLOP, {stage.cache_bytes} bytes of cache")
        print(f"  a call: {stage.flops_expression}")
