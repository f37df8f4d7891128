"""fuse-qkv: which layers become one, which do not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fuse_qkv import FuseQkv
from graphlab.plugins import find_pass
from graphlab.rewriting.record import CHANGED_WEIGHTS
from tests.passes import projections as p
from tests.passes.rewrites import Call, captured, fires, stays, text

BINDINGS = [(p.tokens(2, 5),), (p.tokens(3, 7),)]
ALONE = "it is the only projection of its input for this attention"


def test_is_found_by_name() -> None:
    assert find_pass("fuse-qkv") is FuseQkv


def test_before_and_after() -> None:
    module = p.double(p.itself(p.einsum))
    assert text(captured(module, *BINDINGS[0]))[:3] == [
        "linear = linear(args_0, p_q_weight, p_q_bias)",
        "linear_1 = linear(args_0, p_k_weight, p_k_bias)",
        "linear_2 = linear(args_0, p_v_weight, p_v_bias)",
    ]
    result = fires(FuseQkv(), module, BINDINGS, tolerance=1e-12)
    assert text(result.program)[:6] == [
        "linear_default = linear(args_0, p_q_k_v_weight, p_q_k_v_bias)",
        "split_with_sizes_default = split_with_sizes(linear_default, [8, 8, 8], -1)",
        "getitem = getitem(split_with_sizes_default, 0)",
        "getitem_1 = getitem(split_with_sizes_default, 1)",
        "getitem_2 = getitem(split_with_sizes_default, 2)",
        "mul = mul.Tensor(getitem, 0.3)",
    ]
    assert [(made.key, made.nbytes, made.origins) for made in result.new_tensors] == [
        ("q_k_v.weight", 3 * 64 * 8, ("q.weight", "k.weight", "v.weight")),
        ("q_k_v.bias", 3 * 8 * 8, ("q.bias", "k.bias", "v.bias")),
    ]
    assert sorted(result.dropped) == ["k.bias", "k.weight", "q.bias", "q.weight", "v.bias", "v.weight"]
    assert [change.values for change in result.changes] == [
        (("linear", "getitem"), ("linear_1", "getitem_1"), ("linear_2", "getitem_2"))
    ]
    assert result.program.history == (f"fuse-qkv; {CHANGED_WEIGHTS}",)


@pytest.mark.parametrize("attend", [p.fused, p.spelled, p.normed_and_rotated], ids=lambda f: f.__name__)
def test_spellings(attend: p.Attend) -> None:
    result = fires(FuseQkv(), p.double(p.itself(attend)), BINDINGS, tolerance=1e-12, static=False)
    assert len([line for line in text(result.program) if " = linear(" in line]) == 2


@pytest.mark.parametrize(("without", "made"), [("qkv", 1), ("qk", 2)])
def test_biases(without: str, made: int) -> None:
    layers = p.layers(**dict.fromkeys(without, False))
    result = fires(FuseQkv(), p.double(p.itself(p.fused), layers), BINDINGS, tolerance=1e-12, static=False)
    assert len(result.new_tensors) == made


def grouped(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Two query heads on one key head."""
    k, v = (p.heads(y, 1).expand(-1, 2, -1, -1) for y in (m.k(x), m.v(x)))
    return m.o(p.merged(F.scaled_dot_product_attention(p.heads(m.q(x)), k, v)))


def test_other_widths() -> None:
    layers = p.layers() | {"k": nn.Linear(8, 4), "v": nn.Linear(8, 4)}
    result = fires(FuseQkv(), p.double(grouped, layers), BINDINGS, tolerance=1e-12)
    assert any("split_with_sizes(linear_default, [4, 4, 8], -1)" in line for line in text(result.program))


def joint(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Two streams that attend to both."""
    q, k, v = (torch.cat([m.get_submodule(n)(x), m.get_submodule(n + "2")(y)], 1) for n in "qkv")
    return m.o(p.fused(q, k, v))


def test_joint_attention_fuses_each_stream() -> None:
    layers = p.layers() | {f"{name}2": layer for name, layer in p.layers().items()}
    bindings = [(p.tokens(2, 5), p.tokens(2, 4)), (p.tokens(3, 7), p.tokens(3, 6))]
    result = fires(FuseQkv(), p.double(joint, layers), bindings, tolerance=1e-12)
    assert [made.key for made in result.new_tensors] == [
        *("q_k_v.weight", "q_k_v.bias", "q2_k2_v2.weight", "q2_k2_v2.bias")
    ]


def test_two_layers_over_one_value_and_the_value_over_another() -> None:
    call: Callable[..., object] = lambda m, x, y: m.o(p.fused(m.q(x), m.k(x), m.v(y)))  # noqa: E731  # a spelling
    bindings = [(p.tokens(2, 5), p.tokens(2, 5)), (p.tokens(3, 7), p.tokens(3, 7))]
    result = fires(FuseQkv(), p.double(call), bindings, tolerance=1e-12)
    assert [made.key for made in result.new_tensors] == ["q_k.weight", "q_k.bias"]


class LowRank(nn.Module):
    """A layer with an adapter of rank 2."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.down, self.up = nn.Linear(8, 8), nn.Linear(8, 2, bias=False), nn.Linear(2, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """base(x) + up(down(x)) / 2."""
        return self.base(x) + self.up(self.down(x)) * 0.5


def shared_weight(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return m.o(p.fused(m.q(x), m.q(x * 2), m.v(x)))


STAYS: dict[str, tuple[Callable[..., object], dict[str, nn.Module], list[str]]] = {
    "cross-attention": (p.across(p.fused), p.layers(), [ALONE]),
    "an adapter": (
        p.itself(p.fused),
        p.layers() | {"k": LowRank()},
        ["the result of another linear layer is added (an adapter)"],
    ),
    "shared": (shared_weight, p.layers(), ["a weight is used elsewhere"]),
    "computed": (
        lambda m, x: m.o(p.fused(m.q(x), F.linear(x, m.k.weight * 2), m.v(x))),
        p.layers(),
        ["a weight is computed or written, not only stored"],
    ),
    "one layer already": (
        lambda m, x: m.o(p.fused(*m.qkv(x).chunk(3, -1))),
        p.layers() | {"qkv": nn.Linear(8, 24)},
        [],
    ),
    "no attention": (lambda m, x: m.o(m.q(x) * m.k(x) + m.v(x)), p.layers(), []),
    "a gate and its value": (lambda m, x: m.o(F.silu(m.q(x)) * m.k(x)), p.layers(), []),
    "an activation between": (lambda m, x: m.o(p.fused(*(F.gelu(f(x)) for f in (m.q, m.k, m.v)))), p.layers(), []),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, layers, expected = STAYS[name]
    args = (p.tokens(2, 5), p.tokens(2, 4)) if name == "cross-attention" else (p.tokens(2, 5),)
    assert stays(FuseQkv(), p.double(call, layers), *args) == expected


def test_quantised_weights_stay() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (F.linear(x, getattr(m, name).to(x.dtype)) for name in ("wq", "wk", "wv"))
        return p.fused(q, k, v)

    weights = {name: torch.randint(-9, 9, (8, 8), dtype=torch.int8) for name in ("wq", "wk", "wv")}
    assert stays(FuseQkv(), Call(call, **weights), p.tokens(2, 5)) == [
        "a weight is computed or written, not only stored"
    ]
