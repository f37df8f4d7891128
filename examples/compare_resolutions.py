"""One symbolic capture, evaluated at several sizes: nothing is captured again while its guards hold.

python examples/compare_resolutions.py
"""

from __future__ import annotations

import torch
from torch import nn

import graphlab


class Denoiser(nn.Module):
    """Convolution, attention at half resolution, convolution: (batch, 4, height, width) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(4, 32, 3, stride=2, padding=1)
        self.attention = nn.Linear(32, 96)
        self.up = nn.ConvTranspose2d(32, 4, 4, stride=2, padding=1)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        low = self.down(sample)
        query, key, value = self.attention(low.flatten(2).transpose(1, 2)).chunk(3, dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]
        return sample + self.up(low + mixed.transpose(1, 2).view_as(low))


def main() -> None:
    """The share of attention at growing sides; the last size breaks a guard, and graphlab says which."""
    with torch.device("meta"):
        program = graphlab.capture(Denoiser().eval(), (torch.empty(2, 4, 32, 48),))
    print(f"{'side':>6} {'FLOP':>16} {'attention':>10} {'exponent':>9}")
    for side in (32, 64, 128, 256):
        stage = graphlab.analyze(program, **{"sample.b": 1, "sample.h": side, "sample.w": side}).stages[0]
        share = stage.categories["attention"].flops / stage.flops_per_step
        growth = next(item.exponent for item in stage.scaling if item.symbol == "image_side")
        print(f"{side:>6} {stage.flops_per_step:>16} {share:>10.1%} {growth:>9.2f}")
    try:
        graphlab.analyze(program, **{"sample.h": 33})
    except graphlab.GraphlabError as error:
        print(f"h = 33: {error}")


if __name__ == "__main__":
    main()
