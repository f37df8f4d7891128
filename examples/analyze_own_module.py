"""Capture a module of your own; print how its cost grows and what it attends over.

python examples/analyze_own_module.py
graphlab analyze examples/analyze_own_module.py:block --by attention
"""

from __future__ import annotations

import torch
from torch import nn

import graphlab


class Block(nn.Module):
    """A convolution and an attention over its positions, (batch, 32, height, width) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 32, 3, padding=1)
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        tokens = self.conv(sample).flatten(2).transpose(1, 2)
        query, key, value = (part.unflatten(2, (4, 8)).transpose(1, 2) for part in self.qkv(tokens).chunk(3, dim=-1))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return sample + self.out(mixed.transpose(1, 2).flatten(2)).transpose(1, 2).view_as(sample)


def block() -> tuple[nn.Module, tuple[torch.Tensor, ...], None]:
    """The module and one call of it. On the meta device neither weights nor activations take memory."""
    with torch.device("meta"):
        return Block().eval(), (torch.empty(2, 32, 16, 24),), None


def main() -> None:
    """Sizes in the example call are examples only: every axis the model allows becomes a symbol."""
    module, args, _ = block()
    program = graphlab.capture(module, args)
    stage = graphlab.analyze(program).stages[0]
    print(f"{stage.name}: {stage.parameters} parameters, {stage.flops_per_step} FLOP a call at {dict(stage.symbols)}")
    print(f"FLOP of a call: {stage.flops_expression}")
    for row in stage.attention:
        print(f"{row.node}: {row.kind}, {row.axis}, {row.heads} heads of {row.head_dim}, {row.q_tokens} queries")
        print(f"queries: {row.q_tokens_expression}")


if __name__ == "__main__":
    main()
