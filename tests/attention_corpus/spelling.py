"""`Spelling`: one way of writing attention, or of almost writing it, and the table that families fill at import."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

B, H, Q, K, D = 2, 3, 5, 7, 8
"""Batch, heads, queries, keys, head width: different numbers, so that no two axes are confused by their size."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """A module and its inputs, and what fuse-attention must make of them.

    `attentions` says how many fused attentions must come out, 0 that the program must be left as it is; `either`
    that leaving it is right too, as long as the numbers stay. `reason` holds words that the refusal must contain,
    `dynamic` says whether the module exports with every axis of every input symbolic.
    """

    name: str
    family: str
    module: Callable[[], nn.Module]
    inputs: Callable[[], tuple[Tensor, ...]]
    attentions: int = 1
    reason: str | None = None
    dynamic: bool = True
    either: bool = False


TABLE: dict[str, Spelling] = {}
"""{name: Spelling}, filled when the families are imported."""

Inputs = Callable[[], tuple[Tensor, ...]]
Written = Callable[..., Any]


def spelling(
    family: str,
    inputs: Inputs,
    attentions: int = 1,
    *,
    reason: str | None = None,
    dynamic: bool = True,
    either: bool = False,
    training: bool = False,
    dtype: torch.dtype | None = None,
) -> Callable[[Written], Written]:
    """A decorator that registers a forward function (`self` first), or a class or factory of modules.

    The module is built with fixed random weights, none of them 0 or 1 where that would hide a mistake, and set to
    inference unless `training`; `dtype` retypes its weights.
    """

    def register(written: Written) -> Written:
        name = written.__name__
        if name in TABLE:
            raise ValueError(f"the spelling {name} is registered twice")
        seed = zlib.crc32(name.encode())
        build = _factory(written)

        def module() -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                built = redrawn(build())
            return built.to(dtype).train(training) if dtype else built.train(training)

        def drawn() -> tuple[Tensor, ...]:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + 1)
                return inputs()

        TABLE[name] = Spelling(name, family, module, drawn, attentions, reason, dynamic, either)
        return written

    return register


def _factory(written: Written) -> Callable[[], nn.Module]:
    """Builds the module: a forward function becomes the method of a class of its own."""
    if inspect.isclass(written) or "self" not in inspect.signature(written).parameters:
        return written
    kind = type("".join(part.title() for part in written.__name__.split("_")), (nn.Module,), {"forward": written})
    return kind


def redrawn(module: nn.Module) -> nn.Module:
    """`module` with every parameter moved by a random amount: zero tables and unit gains would hide mistakes."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return module


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal draws."""
    return torch.randn(*shape).to(dtype)


def keep(*shape: int) -> Tensor:
    """A boolean mask, True for what is attended to; the first key always is, so no row is empty."""
    mask = torch.rand(*shape) > 0.4
    mask[..., 0] = True
    return mask


def additive(*shape: int) -> Tensor:
    """A float mask: 0 for what is attended to, -inf for the rest, no row without a key."""
    return torch.zeros(shape).masked_fill(~keep(*shape), float("-inf"))


def heads(dtype: torch.dtype = torch.float32, width: int = D) -> tuple[Tensor, Tensor, Tensor]:
    """Query (B,H,Q,D), key (B,H,K,D), value (B,H,K,width)."""
    return normal(B, H, Q, D, dtype=dtype), normal(B, H, K, D, dtype=dtype), normal(B, H, K, width, dtype=dtype)


def heads_bf16() -> tuple[Tensor, Tensor, Tensor]:
    """`heads` in bfloat16."""
    return heads(torch.bfloat16)


def folded(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Heads folded into the batch: query (B*H,Q,D), key and value (B*H,K,D)."""
    return normal(B * H, Q, D, dtype=dtype), normal(B * H, K, D, dtype=dtype), normal(B * H, K, D, dtype=dtype)


def tokens_first() -> tuple[Tensor, Tensor, Tensor]:
    """Query (B,Q,H,D), key and value (B,K,H,D)."""
    return normal(B, Q, H, D), normal(B, K, H, D), normal(B, K, H, D)


def flat() -> tuple[Tensor, Tensor, Tensor]:
    """One head, no batch: query (Q,D), key and value (K,D)."""
    return normal(Q, D), normal(K, D), normal(K, D)


def square() -> tuple[Tensor, Tensor, Tensor]:
    """Every axis of length 4: shapes tell nothing."""
    return normal(4, 4, 4, 4), normal(4, 4, 4, 4), normal(4, 4, 4, 4)


def tokens() -> tuple[Tensor]:
    """Hidden states (B,Q,H*D)."""
    return (normal(B, Q, H * D),)


def tokens_and_context() -> tuple[Tensor, Tensor]:
    """Hidden states (B,Q,H*D) and a context (B,K,10)."""
    return normal(B, Q, H * D), normal(B, K, 10)


def image() -> tuple[Tensor]:
    """Feature maps (B,C=12,3,5)."""
    return (normal(B, 12, 3, 5),)
