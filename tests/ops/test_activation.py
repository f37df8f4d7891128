"""Activations: each counts what its formula counts, spelled out in elementary ops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.ops.oracle import meta, spelled, work

X = meta(2, 3)
N = 6


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return torch.reciprocal(1 + torch.exp(-x))


def gelu_tanh(x: Tensor) -> Tensor:
    """0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))


def exp_minus_one(x: Tensor) -> Tensor:
    """The negative side of the ELUs."""
    return torch.exp(x) - 1


FORMULAS: list[tuple[str, int, Callable[[Tensor], Tensor]]] = [
    ("relu", 1, lambda x: x.clamp_min(0)),
    ("relu6", 2, lambda x: x.clamp(0, 6)),
    ("sigmoid", 4, sigmoid),
    ("log_sigmoid", 5, lambda x: sigmoid(x).log()),
    ("tanh", 1, torch.tanh),
    ("silu", 5, lambda x: x * sigmoid(x)),
    ("mish", 5, lambda x: x * torch.tanh(torch.log(1 + torch.exp(x)))),
    ("gelu", 5, lambda x: 0.5 * x * (1 + torch.erf(x * math.sqrt(0.5)))),
    ("hardsigmoid", 4, lambda x: (x + 3).clamp(0, 6) / 6),
    ("hardswish", 5, lambda x: x * (x + 3).clamp(0, 6) / 6),
    ("hardtanh", 2, lambda x: x.clamp(-1, 1)),
    ("elu", 5, lambda x: x.clamp_min(0) + exp_minus_one(x).clamp_max(0)),
    ("selu", 7, lambda x: 1.05 * (x.clamp_min(0) + (1.67 * exp_minus_one(x)).clamp_max(0))),
    ("celu", 5, lambda x: x.clamp_min(0) + exp_minus_one(x).clamp_max(0)),
    ("leaky_relu", 2, lambda x: torch.maximum(x, 0.01 * x)),
    ("softplus", 3, lambda x: torch.log(1 + torch.exp(x))),
]


@pytest.mark.parametrize(("name", "count", "formula"), FORMULAS, ids=[row[0] for row in FORMULAS])
def test_formula(name: str, count: int, formula: Callable[[Tensor], Tensor]) -> None:
    assert work(f"aten.{name}.default", X) == (0, count * N) == spelled(lambda: formula(X))


@pytest.mark.parametrize(
    ("target", "args", "kwargs", "pointwise"),
    [
        ("gelu.default", (X,), {"approximate": "tanh"}, 9 * N),
        ("glu.default", (meta(2, 6),), {}, 5 * N),
        ("prelu.default", (X, meta(1)), {}, 4 * N),
        ("elu.default", (X, 2.0), {}, 6 * N),
        ("celu.default", (X, 2.0), {}, 7 * N),
        ("softplus.default", (X, 2.0), {}, 5 * N),
        ("threshold.default", (X, 1.0, 0.0), {}, 2 * N),
        ("hardshrink.default", (X,), {}, 4 * N),
        ("silu_.default", (meta(2, 3),), {}, 5 * N),
        ("gelu_.default", (meta(2, 3),), {"approximate": "tanh"}, 9 * N),
    ],
)
def test_closed_forms(target: str, args: tuple[Any, ...], kwargs: dict[str, Any], pointwise: int) -> None:
    assert work(f"aten.{target}", *args, **kwargs) == (0, pointwise)


def test_gelu_tanh_is_its_formula() -> None:
    assert spelled(lambda: gelu_tanh(X)) == work("aten.gelu.default", X, approximate="tanh")


def test_quick_gelu_is_two_products_and_a_sigmoid() -> None:
    assert spelled(lambda: X * torch.sigmoid(1.702 * X)) == (0, 6 * N)
