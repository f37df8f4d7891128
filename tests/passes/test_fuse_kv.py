"""fuse-kv: which layers become one, which do not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch.nn.functional as F

from graphlab.passes.rewrite.fuse_kv import FuseKv
from graphlab.plugins import find_pass
from tests.passes import projections as p
from tests.passes.rewrites import captured, fires, stays, text

BINDINGS = [(p.tokens(2, 5), p.tokens(2, 4)), (p.tokens(3, 7), p.tokens(3, 6))]


def test_is_found_by_name() -> None:
    assert find_pass("fuse-kv") is FuseKv


def test_before_and_after() -> None:
    module = p.double(p.across(p.einsum))
    assert text(captured(module, *BINDINGS[0]))[:3] == [
        "linear = linear(args_0, p_q_weight, p_q_bias)",
        "linear_1 = linear(args_1, p_k_weight, p_k_bias)",
        "linear_2 = linear(args_1, p_v_weight, p_v_bias)",
    ]
    result = fires(FuseKv(), module, BINDINGS, tolerance=1e-12)
    assert text(result.program)[:5] == [
        "linear = linear(args_0, p_q_weight, p_q_bias)",
        "linear_default = linear(args_1, p_k_v_weight, p_k_v_bias)",
        "split_with_sizes_default = split_with_sizes(linear_default, [8, 8], -1)",
        "getitem = getitem(split_with_sizes_default, 0)",
        "getitem_1 = getitem(split_with_sizes_default, 1)",
    ]
    assert [made.origins for made in result.new_tensors] == [("k.weight", "v.weight"), ("k.bias", "v.bias")]
    assert sorted(result.dropped) == ["k.bias", "k.weight", "v.bias", "v.weight"]


@pytest.mark.parametrize(
    ("attend", "without", "made"),
    [(p.fused, "k", 2), (p.spelled, "kv", 1), (p.normed_and_rotated, "kv", 1)],
    ids=["fused", "spelled", "normed_and_rotated"],
)
def test_spellings(attend: p.Attend, without: str, made: int) -> None:
    layers = p.layers(**dict.fromkeys(without, False))
    result = fires(FuseKv(), p.double(p.across(attend), layers), BINDINGS, tolerance=1e-12, static=False)
    assert len(result.new_tensors) == made


STAYS: dict[str, tuple[Callable[..., object], list[str]]] = {
    "self-attention": (lambda m, x, y: m.o(p.fused(m.q(x), m.k(x), m.v(x))) + y.sum(), []),
    "two texts": (
        lambda m, x, y: m.o(p.fused(m.q(x), m.k(y), m.v(y * 2))),
        ["it is the only projection of its input for this attention"] * 2,
    ),
    "shared": (
        lambda m, x, y: m.o(p.fused(m.q(x), m.k(y), m.v(y))) + m.k(x),
        ["a weight is used elsewhere"],
    ),
    "only the value": (
        lambda m, x, y: m.o(p.fused(m.q(x), F.gelu(y), m.v(y))),
        ["it is the only projection of its input for this attention"],
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, expected = STAYS[name]
    assert stays(FuseKv(), p.double(call), p.tokens(2, 5), p.tokens(2, 4)) == expected


def test_dtypes_that_differ_stay() -> None:
    program = captured(p.double(p.across(p.fused)), p.tokens(2, 5), p.tokens(2, 4))
    assert program.exported is not None
    weight = next(n for n in program.exported.graph.find_nodes(op="placeholder") if n.name == "p_v_weight")
    weight.meta["val"] = weight.meta["val"].bfloat16()
    result = FuseKv().run(program)
    assert [skip.why for skip in result.skips] == ["the weights differ in dtype"]
    assert not result.modified
