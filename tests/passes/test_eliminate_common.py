"""eliminate-common: what is computed once, what stays twice and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.eliminate_common import EliminateCommon
from graphlab.plugins import find_pass
from tests.passes.rewrites import Call, captured, fires, reasons, saved_and_loaded, stays, text

X, OTHER = torch.randn(2, 6, 4), torch.randn(3, 8, 4)


def test_is_found_by_name() -> None:
    assert find_pass("eliminate-common") is EliminateCommon


def test_before_and_after() -> None:
    module = Call(lambda m, x: F.silu(x) * m.linear(F.silu(x)), linear=nn.Linear(4, 4))
    assert text(captured(module, X)) == [
        "silu = silu(args_0)",
        "silu_1 = silu(args_0)",
        "linear = linear(silu_1, p_linear_weight, p_linear_bias)",
        "mul = mul.Tensor(silu, linear)",
    ]
    result = fires(EliminateCommon(), module, [(X,), (OTHER,)])
    assert text(result.program) == [
        "silu = silu(args_0)",
        "linear = linear(silu, p_linear_weight, p_linear_bias)",
        "mul = mul.Tensor(silu, linear)",
    ]
    assert [(change.values, change.why) for change in result.changes] == [((("silu_1", "silu"),), "the same as silu")]


def chain(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Two equal chains of three."""
    return sum(torch.exp(torch.tanh(x.transpose(1, 2)) * 2).sum(-1) for _ in range(3))  # type: ignore[return-value]  # three tensors


def test_whole_chains() -> None:
    result = fires(EliminateCommon(), Call(chain), [(X,), (OTHER,)])
    assert [line.split(" = ")[1].split("(")[0] for line in text(result.program)] == [
        *("transpose.int", "tanh", "mul.Tensor", "exp", "sum.dim_IntList"),
        *("add.Tensor", "add.Tensor", "add.Tensor"),
    ]


def test_sizes_of_different_tensors() -> None:
    def call(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = x + y
        return torch.tanh(x).reshape(x.shape[0], -1) + torch.tanh(x).reshape(z.shape[0], -1)

    result = fires(EliminateCommon(), Call(call), [(X, X), (OTHER, OTHER)])
    assert len([line for line in text(result.program) if " = reshape(" in line]) == 1


def test_results_of_several_and_views_that_are_results() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a, b = x.chunk(2, 1)
        c, d = x.chunk(2, 1)
        return a * b, c * d + 1, x.transpose(0, 1), x.transpose(0, 1)

    result = fires(EliminateCommon(), Call(call), [(X,), (OTHER,)])
    assert [line.split(" = ")[1].split("(")[0] for line in text(result.program)] == [
        *("chunk", "getitem", "getitem", "mul.Tensor", "add.Tensor", "transpose.int"),
    ]


def test_two_of_three_that_are_results_stay_two() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.tanh(x * 2), x * 2, x * 2

    result = fires(EliminateCommon(), Call(call), [(X,), (OTHER,)])
    assert reasons(result) == ["the same call as mul, but both are results with memory of their own"]
    assert [line.split(" = ")[1] for line in text(result.program)] == [
        *("mul.Tensor(args_0, 2)", "tanh(mul)", "mul.Tensor(args_0, 2)"),
    ]


def test_tied_weights() -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    module = Call(lambda m, x: m.first(x) + m.second(x), first=first, second=second)
    second.weight, second.bias = first.weight, first.bias
    result = fires(EliminateCommon(), module, [(X,), (OTHER,)])
    assert len([line for line in text(result.program) if " = linear(" in line]) == 1


@torch.library.custom_op("graphlab_tests::noise", mutates_args=())
def noise(x: torch.Tensor) -> torch.Tensor:
    """An operator that says nothing about its random numbers."""
    return x + torch.rand(x.shape)


@noise.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


STAYS: dict[str, tuple[Callable[[nn.Module, torch.Tensor], object], list[str]]] = {
    "random numbers": (
        lambda m, x: F.dropout(x, 0.5, True) + F.dropout(x, 0.5, True),
        ["the same call as dropout, but it draws random numbers"],
    ),
    "noise": (
        lambda m, x: torch.rand_like(x) - torch.rand_like(x),
        ["the same call as rand_like, but it draws random numbers"],
    ),
    "attention that drops": (
        lambda m, x: (
            F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)
            - F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)
        ),
        ["the same call as scaled_dot_product_attention, but it draws random numbers"],
    ),
    "a stranger's operator": (
        lambda m, x: torch.ops.graphlab_tests.noise(x) - torch.ops.graphlab_tests.noise(x),
        ["the same call as noise, but nothing says that operators of graphlab_tests are not random"],
    ),
    "undefined values": (
        lambda m, x: torch.empty_like(x).shape[0] + (torch.empty_like(x) - torch.empty_like(x)),
        ["the same call as empty_like, but its values are undefined"],
    ),
    "two results": (
        lambda m, x: (x * 2, x * 2),
        ["the same call as mul, but both are results with memory of their own"],
    ),
    "casts that are results": (
        lambda m, x: (x.bfloat16(), x.bfloat16()),
        ["the same call as to, but both are results with memory of their own"],
    ),
    "a view of one result and another": (
        lambda m, x: ((x * 2).transpose(0, 1), x * 2),
        ["the same call as mul, but both are results with memory of their own"],
    ),
    "an integer and a float": (lambda m, x: x.argmax(1) * 1 + x.argmax(2).sum() * 1.0, []),
    "zeros of two signs": (lambda m, x: (x * 0.0).sum() + (x * -0.0).sum(), []),
    "equal weights that are not tied": (lambda m, x: m.a(x) + m.b(x), []),
    "another axis": (lambda m, x: x.sum(0).sum() + x.sum(1).sum(), []),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, expected = STAYS[name]
    module = Call(call, a=nn.Linear(4, 4), b=nn.Linear(4, 4))
    with torch.no_grad():
        module.b.weight.copy_(module.a.weight)
        module.b.bias.copy_(module.a.bias)
    found = stays(EliminateCommon(), module, X)
    assert found[: len(expected)] == expected
    assert bool(found) == bool(expected)


def test_weights_without_values_are_not_tied_by_a_file() -> None:
    """A loaded `.pt2` keeps all tensors of the meta device in one storage."""
    module = Call(lambda m, x: m.a(x) * m.b(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4)).to("meta")
    result = EliminateCommon().run(saved_and_loaded(captured(module, X.to("meta"))))
    assert not result.modified
