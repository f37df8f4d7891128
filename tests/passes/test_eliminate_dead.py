"""eliminate-dead: what does not reach a result goes, what checks, writes or draws stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.eliminate_dead import EliminateDead
from graphlab.plugins import find_pass
from tests.passes.rewrites import Call, captured, fires, saved_and_loaded, stays, text

X, OTHER = torch.randn(2, 6, 4), torch.randn(3, 8, 4)


def test_before_and_after() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        torch.tanh(x.transpose(1, 2)).sum() + m.unread(x).sum()
        return x * 2

    result = fires(EliminateDead(), Call(call, unread=nn.Linear(4, 4)), [(X,), (OTHER,)])
    assert text(result.program) == ["mul = mul.Tensor(args_0, 2)"]
    assert result.dropped == ("unread.weight", "unread.bias")
    assert find_pass("eliminate-dead") is EliminateDead


def checked_sum(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    torch._assert_async((x == x).all())
    return x * 2


def written(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    m.last.copy_(x[0, 0])
    return x * 2


STAYS: dict[str, Callable[[nn.Module, torch.Tensor], object]] = {
    "an assertion": checked_sum,
    "a buffer that is written": written,
    "random numbers": lambda m, x: (F.dropout(x, 0.5, True), x * 2)[1],
    "one of two parts": lambda m, x: x.chunk(2, 1)[0] * 2,
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    program = captured(Call(STAYS[name], last=torch.ones(4)), X)
    result = EliminateDead().run(program)
    assert not result.modified
    assert result.dropped == ()


def test_unread_parts_in_a_file_are_no_change() -> None:
    """torch writes an unread part for every result of an operator: a program and its file are the same."""
    program = saved_and_loaded(captured(Call(lambda m, x: x.chunk(2, 1)[0] * 2), X))
    assert len([line for line in text(program) if " = getitem(" in line]) == 2
    result = EliminateDead().run(program)
    assert not result.modified
    assert result.program is program


def test_nothing_to_do() -> None:
    assert stays(EliminateDead(), Call(lambda m, x: x * 2), X) == []
