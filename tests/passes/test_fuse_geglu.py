"""fuse-geglu: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fuse_geglu import FuseGeglu
from graphlab.plugins import find_pass
from tests.fused.cases import DTYPES, Function, captured, check, ops, stays

Gated = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def of_parts(parts: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]) -> Gated:
    """hidden * gelu(gate) of the parts of a projection to 12."""

    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        hidden, gate = parts(m.proj(x))
        return hidden * F.gelu(gate)

    return call


def built(call: Gated) -> Function:
    return Function(call, proj=nn.Linear(8, 12), other=nn.Linear(8, 12))


def compvis(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def lucidrains(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return F.gelu(gate) * hidden


def muse(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return gate * F.gelu(hidden)


def tanh(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=2)
    return hidden * F.gelu(gate, approximate="tanh")


def in_place(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return F.gelu(gate).mul_(hidden)


FIRES: dict[str, tuple[Gated, str, bool]] = {
    "chunk": (compvis, "none", False),
    "gelu_on_the_left": (lucidrains, "none", False),
    "gate_first": (muse, "none", True),
    "tanh": (tanh, "tanh", False),
    "in_place": (in_place, "none", False),
    "split": (of_parts(lambda y: y.split(6, dim=-1)), "none", False),
    "split_sizes": (of_parts(lambda y: y.split([6, 6], dim=-1)), "none", False),
    "tensor_split": (of_parts(lambda y: y.tensor_split(2, dim=-1)), "none", False),
    "slices": (of_parts(lambda y: (y[..., :6], y[..., 6:])), "none", False),
    "negative_slices": (of_parts(lambda y: (y[..., :-6], y[..., -6:])), "none", False),
    "slices_by_size": (of_parts(lambda y: (y[..., : y.shape[-1] // 2], y[..., y.shape[-1] // 2 :])), "none", False),
    "slices_swapped": (of_parts(lambda y: (y[..., 6:], y[..., :6])), "none", True),
    "narrow": (of_parts(lambda y: (y.narrow(-1, 0, 6), y.narrow(-1, -6, 6))), "none", False),
}


@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str) -> None:
    call, approximate, gate_first = FIRES[name]
    program = check(FuseGeglu(), built(call), torch.randn(2, 5, 8), others=(torch.randn(3, 7, 8),))
    assert ops(program) == ["aten.linear.default", "graphlab.geglu.default"]
    assert program.graph.calls[-1].args[1:] == (approximate, gate_first)


def test_account() -> None:
    result = FuseGeglu().run(captured(built(compvis), torch.randn(2, 5, 8)))
    (change,) = result.changes
    assert (change.pass_name, [old for old, _ in change.values]) == ("fuse-geglu", ["mul"])
    assert change.why == "hidden * gelu(gate) of the two halves of one axis"
    assert result.skips == ()
    assert find_pass("fuse-geglu") is FuseGeglu


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_in_every_dtype(dtype: torch.dtype) -> None:
    check(FuseGeglu(), built(compvis).to(dtype), torch.randn(2, 5, 8, dtype=dtype))


def test_symbolic_width() -> None:
    def doubled(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        hidden, gate = torch.cat([x, x * 2], -1).split(x.shape[-1], -1)
        return hidden * F.gelu(gate)

    program = check(FuseGeglu(), Function(doubled), torch.randn(3, 8), others=(torch.randn(5, 7),))
    assert ops(program)[-1] == "graphlab.geglu.default"
    assert program.graph.calls[-1].out.shape == ("args_0.d0", "args_0.d1")


def test_diffusers_block() -> None:
    from diffusers.models.attention import FeedForward

    program = check(FuseGeglu(), FeedForward(8, activation_fn="geglu"), torch.randn(2, 5, 8))
    assert ops(program).count("graphlab.geglu.default") == 1
    assert "aten.gelu.default" not in ops(program)


def silu_gate(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return hidden * F.silu(gate)


def two_linears(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.gelu(m.proj(x)) * m.other(x)


def halves_of_two(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return m.proj(x)[..., :6] * F.gelu(m.other(x)[..., 6:])


def gelu_read_elsewhere(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    bent = F.gelu(gate)
    return hidden * bent + bent


def channels_first(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).transpose(1, 2).chunk(2, dim=1)
    return hidden * F.gelu(gate)


def unequal(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).split([4, 8], dim=-1)
    return hidden[..., :1] * F.gelu(gate)


def self_gated(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    y = m.proj(x)
    return y * F.gelu(y)


STAYS: dict[str, tuple[Gated, str]] = {
    "silu": (silu_gate, "the gate goes through aten.silu.default, not gelu"),
    "two_linears": (two_linears, "linear_1 and linear are not parts of one tensor"),
    "two_tensors": (halves_of_two, "the factors are parts of two tensors, linear and linear_1"),
    "gelu_read_elsewhere": (gelu_read_elsewhere, "gelu is read elsewhere"),
    "other_axis": (channels_first, "the parts are of axis 1 and 1, the last axis is 2"),
    "unequal": (unequal, "are parts of two tensors"),
    "self_gated": (self_gated, "linear and linear are not parts of one tensor"),
    "thirds": (
        of_parts(lambda y: (y[..., :4], y[..., 4:8])),
        "the parts are 4 and 4 of 12 positions, not halves",
    ),
    "same_half": (
        of_parts(lambda y: (y[..., 6:], y[..., 6:])),
        "the parts start at 6 and 6: they are not the two halves",
    ),
    "overlap": (
        of_parts(lambda y: (y[..., :6], y[..., 3:9])),
        "the parts start at 0 and 3: they are not the two halves",
    ),
    "broadcast": (of_parts(lambda y: (y[..., :1], y[..., 1:])), "the parts are 1 and 11 of 12 positions, not halves"),
    "interleaved": (
        of_parts(lambda y: (y[..., ::2], y[..., 1::2])),
        "the parts take every 2th position of the axis, not a half",
    ),
    "other_spelling_of_the_axis": (
        of_parts(lambda y: y.unflatten(-1, (2, 6)).unbind(-2)),
        "are not parts of one tensor",
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    (found,) = stays(FuseGeglu(), built(call), torch.randn(2, 5, 8))
    assert reason in found


def test_products_without_activation_are_no_candidates() -> None:
    assert stays(FuseGeglu(), built(lambda m, x: m.proj(x) * m.other(x) * 2), torch.randn(2, 5, 8)) == []
    assert stays(FuseGeglu(), built(lambda m, x: m.proj(x) * F.silu(m.other(x))), torch.randn(2, 5, 8)) == []


def test_two_thirds_of_three_positions_are_no_halves_of_a_symbolic_width() -> None:
    def call(_: nn.Module, x: torch.Tensor) -> torch.Tensor:
        half = x.shape[-1] // 2
        return x[..., :half] * F.gelu(x[..., half : 2 * half])

    (found,) = stays(FuseGeglu(), Function(call), torch.randn(3, 8))
    assert "not halves" in found
