"""One small model counted by hand: FLOPs, pointwise FLOPs, bytes and memory of every call, fused and spelled out.

Axes: b = 2 pictures of c = 4 channels, h = 6, w = 5; t = 7 text tokens of width 8; float32.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.costing import total_bytes
from tests.passes.conftest import analysis_of

B, C, H, W, T, D = 2, 4, 6, 5, 7, 8
N = H * W
WORD = 4


class Small(nn.Module):
    """conv -> silu -> tokens -> cross-attention (one head, width 8) -> residual sum."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.conv = nn.Conv2d(C, D, 3, padding=1)
        self.key = nn.Linear(D, D, bias=False)

    def forward(self, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.conv(sample)).flatten(2).transpose(1, 2)
        k = self.key(text)
        if self.fused:
            y = F.scaled_dot_product_attention(x, k, k)
        else:
            y = torch.softmax(torch.bmm(x, k.transpose(1, 2)) * D**-0.5, -1).bmm(k)
        return x + y


def analysis(*, fused: bool):
    return analysis_of(Small(fused=fused), torch.randn(B, C, H, W), torch.randn(B, T, D))


CONV = 2 * (B * D * N) * (C * 9)
KEY = 2 * (B * T * D) * D
ATTENTION = 2 * (2 * B * N * T * D)
IMAGE = B * N * D * WORD
TEXT = B * T * D * WORD
SCORES = B * N * T * WORD
FLOPS = {"conv2d": CONV, "linear": KEY}


@pytest.mark.parametrize("fused", [True, False])
def test_flops(fused: bool) -> None:
    costs = analysis(fused=fused).costs
    assert {name: cost.flops for name, cost in costs.items() if name in FLOPS} == FLOPS
    assert sum(cost.flops for cost in costs.values()) == CONV + KEY + ATTENTION


def test_pointwise_flops_of_the_spelled_out_model() -> None:
    costs = analysis(fused=False).costs
    expected = {
        "conv2d": B * D * N,  # the bias
        "silu": costs["silu"].pointwise_flops,
        "mul": B * N * T,
        "softmax": 5 * B * N * T,
        "add": B * N * D,
        "linear": 0,
        "bmm": 0,
        "bmm_1": 0,
    }
    assert expected["silu"] % (B * D * N) == 0
    assert expected["silu"] > 0
    assert {name: costs[name].pointwise_flops for name in expected} == expected


def test_bytes_of_every_call() -> None:
    costs = analysis(fused=False).costs
    weights = (D * C * 9 + D) * WORD
    moved = {name: (cost.bytes_read, cost.bytes_written) for name, cost in costs.items() if cost.bytes}
    assert moved == {
        "conv2d": (B * C * N * WORD + weights, IMAGE),
        "silu": (IMAGE, IMAGE),
        "linear": (TEXT + D * D * WORD, TEXT),
        "bmm": (IMAGE + TEXT, SCORES),
        "mul": (SCORES, SCORES),
        "softmax": (SCORES, SCORES),
        "bmm_1": (SCORES + TEXT, IMAGE),
        "add": (2 * IMAGE, IMAGE),
    }


def test_materialised_and_fused_bytes() -> None:
    """Fused: queries, keys (which are the values as well: read once) and the output."""
    outside = (B * C * N * WORD + (D * C * 9 + D) * WORD + IMAGE) + 2 * IMAGE + (2 * TEXT + D * D * WORD) + 3 * IMAGE
    spelled = analysis(fused=False)
    materialized, fused = total_bytes(spelled.graph, spelled.sites, spelled.costs)
    assert materialized == outside + (IMAGE + TEXT + SCORES) + 4 * SCORES + (SCORES + TEXT + IMAGE)
    assert fused == outside + IMAGE + 2 * TEXT + IMAGE
    op = analysis(fused=True)
    materialized, fused = total_bytes(op.graph, op.sites, op.costs)
    assert fused == outside + IMAGE + TEXT + IMAGE
    assert materialized == fused + 4 * SCORES


def test_liveness() -> None:
    """Inputs live throughout. At bmm_1: x (for the sum), k, the probabilities and the new output are alive."""
    memory = analysis(fused=False).facts.result("memory")
    inputs = B * C * N * WORD + TEXT
    live = memory["materialized"].live_bytes
    assert live["conv2d"] == inputs + IMAGE
    assert live["silu"] == inputs + 2 * IMAGE
    assert live["linear"] == inputs + IMAGE + TEXT
    assert live["bmm"] == inputs + IMAGE + TEXT + SCORES
    assert live["mul"] == live["softmax"] == inputs + IMAGE + TEXT + 2 * SCORES
    assert live["bmm_1"] == inputs + 2 * IMAGE + TEXT + SCORES
    assert live["add"] == inputs + 3 * IMAGE
    assert memory["materialized"].peak_bytes == max(live.values())
    assert memory["fused"].live_bytes["bmm_1"] == inputs + 2 * IMAGE + TEXT
    assert memory["spelled"] == memory["materialized"]
    for facts in memory.values():
        assert sum(facts.at_peak.values()) == facts.peak_bytes
    at_peak = memory["fused"].at_peak
    assert list(at_peak.values()) == sorted(at_peak.values(), reverse=True)
    assert at_peak["add"] == IMAGE, "the sum and what it adds are alive at the end"
    op = analysis(fused=True).facts.result("memory")
    name = "scaled_dot_product_attention"
    assert op["materialized"].live_bytes[name] - op["fused"].live_bytes[name] == 2 * SCORES
    assert op["spelled"] == op["fused"]


def test_polynomials_are_the_closed_forms() -> None:
    found = analysis(fused=True)
    names = dict(zip(("b", "h", "w", "t"), ("sample.b", "sample.h", "sample.w", "text.t"), strict=True))
    b, h, w, t = (found.polynomials.sizes.symbols[names[key]] for key in "bhwt")
    conv, key = 2 * b * D * h * w * C * 9, 2 * b * t * D * D
    assert found.polynomials.flops.expression.equals(conv + key + 4 * b * h * w * t * D)
    at = {"sample.b": 3, "sample.h": 9, "sample.w": 11, "text.t": 2}
    assert found.polynomials.flops(at) == 2 * 3 * D * 99 * C * 9 + 2 * 3 * 2 * D * D + 4 * 3 * 99 * 2 * D


def test_roles() -> None:
    roles = analysis(fused=False).facts.result("roles")
    assert {roles[name] for name in ("bmm", "mul", "softmax", "bmm_1")} == {"attention_core"}
    assert roles["linear"] == "attention_projection"
    assert roles["conv2d"] in ("input_output", "attention_projection")
