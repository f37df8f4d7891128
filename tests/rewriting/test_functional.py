"""Programs that write in place become equal ones that do not: other operators on fresh memory, else torch does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from graphlab.rewriting.functional import functional, has_writes
from graphlab.sources.module import capture
from tests.rewriting.toys import X


class Of(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def fresh(x: torch.Tensor) -> torch.Tensor:
    return (x * 2).relu_().add_(1)


def read_before(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    z = y + 1
    return y.relu_() + z


def read_after(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    z = y.relu_()
    return y + z


def through_a_view(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    y[:, 0] = 1.0
    return y


def of_a_view(x: torch.Tensor) -> torch.Tensor:
    y = x * 2
    z = y.view(-1)
    z.add_(1)
    return y


def narrower(x: torch.Tensor) -> torch.Tensor:
    """In place rounds to half, out of place would not."""
    return x.half().mul(2).add_(x)


def without_gradient(x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y = x * 2
    return y.relu_()


def maybe_a_view(x: torch.Tensor) -> torch.Tensor:
    """`reshape` returns its argument's memory here."""
    y = x * 2
    z = y.reshape(3, 8)
    z.add_(1)
    return y


CASES = [fresh, read_before, read_after, through_a_view, of_a_view, narrower, without_gradient, maybe_a_view]


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_same_values_nothing_written(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    program = capture(Of(function), (X,), dynamic=False)
    assert program.exported is not None
    assert has_writes(program.exported.graph)
    made = functional(program.exported)
    assert not has_writes(made.graph)
    assert has_writes(program.exported.graph)
    found = made.module(check_guards=False)(X.clone())
    expected = function(X.clone())
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_what_is_fresh_keeps_its_names() -> None:
    program = capture(Of(fresh), (X,), dynamic=False)
    assert program.exported is not None
    names = [node.name for node in program.exported.graph.nodes]
    made = functional(program.exported)
    assert [node.name for node in made.graph.nodes] == names
    targets = [str(node.target) for node in made.graph.nodes if node.op == "call_function"]
    assert targets == ["aten.mul.Tensor", "aten.relu.default", "aten.add.Tensor"]


def test_a_functional_program_is_itself() -> None:
    program = capture(nn.ReLU(), (X,), dynamic=False)
    assert program.exported is not None
    assert functional(program.exported) is program.exported
