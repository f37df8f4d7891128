"""A few lines of a model for every rewriting pass: what docs/rewrites.md shows before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from graphlab.program import Program
from graphlab.sources.module import capture

SDPA = F.scaled_dot_product_attention


@dataclass(frozen=True)
class Example:
    """`function(module, *inputs)` over layers by name, inputs of the shapes given; options of the pass as text."""

    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    layers: dict[str, Callable[[], nn.Module]] = field(default_factory=dict)
    options: str = ""

    def program(self) -> Program:
        """Captured at its sizes, weights and inputs from one seed; inputs have the names of the parameters."""
        torch.manual_seed(0)
        module: nn.Module = type("Example", (nn.Module,), {"forward": self.function})()
        for name, make in self.layers.items():
            module.add_module(name, make())
        return capture(module.eval(), tuple(torch.randn(shape) for shape in self.shapes), dynamic=False, name="example")


def _linear(width: int = 8, out: int = 8) -> Callable[[], nn.Module]:
    return lambda: nn.Linear(width, out)


def _normed() -> nn.Module:
    """Batch normalisation with statistics, as after training."""
    norm = nn.BatchNorm2d(8)
    norm.running_mean, norm.running_var = torch.randn(8), torch.rand(8) + 0.5
    return norm


def _noops(m: Any, x: torch.Tensor) -> torch.Tensor:
    return F.dropout(x, 0.1, training=False).float().contiguous() * 1.0 + 2.0


def _constants(m: Any, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, m.layer.weight * 0.5, m.layer.bias)


def _common(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.scale(F.silu(x)) + m.shift(F.silu(x))


def _dead(m: Any, x: torch.Tensor) -> torch.Tensor:
    F.relu(x).sum()
    return x * 2


def _attention(m: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.bmm((torch.bmm(q, k.transpose(1, 2)) * 8**-0.5).softmax(-1), v)


def _self_attention(m: Any, x: torch.Tensor) -> torch.Tensor:
    return SDPA(m.q(x), m.k(x), m.v(x))


def _cross_attention(m: Any, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return SDPA(m.q(x), m.k(text), m.v(text))


def _rotary(m: Any, x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    cos, sin = (torch.cat([part, part], -1) for part in (angles.cos(), angles.sin()))
    return x * cos + torch.cat([-x[..., 4:], x[..., :4]], -1) * sin


def _rms_norm(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def _gelu(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def _geglu(m: Any, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def _skip_layer(m: Any, x: torch.Tensor, residual: torch.Tensor) -> Any:
    total = x + residual
    return m.norm(total), total


def _heads(m: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    split = [x.unflatten(-1, (2, 4)).transpose(1, 2) for x in (q, k, v)]
    return SDPA(*split).transpose(1, 2).flatten(2)


def _step(m: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    return SDPA(m.q(sample + m.time(timestep)), m.k(text), m.v(text))


TOKENS = (2, 5, 8)
"""batch, tokens, width."""
PROJECTIONS = {"q": _linear(), "k": _linear(), "v": _linear()}

EXAMPLES = {
    "drop-noops": Example(_noops, (TOKENS,)),
    "fold-constants": Example(_constants, (TOKENS,), {"layer": _linear()}),
    "eliminate-common": Example(_common, (TOKENS,), {"scale": _linear(), "shift": _linear()}),
    "eliminate-dead": Example(_dead, (TOKENS,)),
    "fold-conv-bn": Example(
        lambda m, x: m.norm(m.conv(x)), ((2, 4, 6, 6),), {"conv": lambda: nn.Conv2d(4, 8, 3), "norm": _normed}
    ),
    "fuse-attention": Example(_attention, (TOKENS, (2, 7, 8), (2, 7, 8))),
    "decompose-attention": Example(lambda m, q, k, v: SDPA(q, k, v), (TOKENS, (2, 7, 8), (2, 7, 8))),
    "fuse-qkv": Example(_self_attention, (TOKENS,), PROJECTIONS),
    "fuse-kv": Example(_cross_attention, (TOKENS, (2, 7, 8)), PROJECTIONS),
    "fuse-rotary-embedding": Example(_rotary, ((2, 3, 5, 8), (5, 4))),
    "fuse-rms-norm": Example(_rms_norm, (TOKENS,), {"norm": lambda: nn.LayerNorm(8, bias=False)}),
    "fuse-gelu": Example(_gelu, (TOKENS,)),
    "fuse-geglu": Example(_geglu, (TOKENS,), {"proj": _linear(8, 16)}),
    "fuse-groupnorm-silu": Example(
        lambda m, x: F.silu(m.norm(x)), ((2, 8, 6, 6),), {"norm": lambda: nn.GroupNorm(4, 8)}
    ),
    "fuse-skip-layernorm": Example(_skip_layer, (TOKENS, TOKENS), {"norm": lambda: nn.LayerNorm(8)}),
    "fuse-skip-rms-norm": Example(_skip_layer, (TOKENS, TOKENS), {"norm": lambda: nn.RMSNorm(8, eps=1e-6)}),
    "pack-heads": Example(_heads, (TOKENS, (2, 7, 8), (2, 7, 8))),
    "channels-last": Example(lambda m, x: m.conv(x), ((2, 4, 6, 6),), {"conv": lambda: nn.Conv2d(4, 8, 3)}),
    "hoist-loop-invariants": Example(
        _step, (TOKENS, (1, 8), (2, 7, 8)), {"time": _linear(), **PROJECTIONS}, "invariant=text,schedule=timestep"
    ),
}
"""{pass: a model it changes}; catalogue.py makes those of apply-weight-mask and decompose-fused of two of these."""
