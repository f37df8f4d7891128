"""What torch's translations, written for opset 18, become in later ones, and operators that need another word first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.exporting.targets import target_named
from tests.exporting.runs import Call, agree, captured, lowered

SOURCE = torch.Generator().manual_seed(0)
X = torch.randn(2, 6, 16, generator=SOURCE)
IMAGE = torch.randn(2, 4, 8, 6, generator=SOURCE)
GRID = torch.rand(2, 5, 4, 2, generator=SOURCE) * 2 - 1
WHOLE = torch.randint(-5, 7, (2, 6, 16), generator=SOURCE)


def written(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    made = torch.zeros(2, 8, 16)
    made[:, 1:7] = x
    return made


CASES: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    "modes-have-other-names": (lambda m, x, y: F.grid_sample(x, y, align_corners=False), (IMAGE, GRID)),
    "cubic": (lambda m, x, y: F.grid_sample(x, y, mode="bicubic", align_corners=True), (IMAGE, GRID)),
    "an-axis-is-an-input": (lambda m, x: torch.fft.rfft(x).abs(), (X,)),
    "functions-of-torchlib": (lambda m, x: (x.amax(-1), x.mT, x.masked_fill(x > 0, 0.0)), (X,)),
    "writes-that-no-pass-touches": (written, (X,)),
    "parts-of-several-dtypes": (lambda m, x, i: torch.cat([x, i, x > 0], -1), (X, WHOLE)),
    "parts-without-values": (lambda m, x: torch.cat([torch.empty(0), x, x], 1), (X,)),
    "means-of-integers": (lambda m, i: (i.mean(-1, dtype=torch.float32), i.softmax(-1, dtype=torch.float32)), (WHOLE,)),
    "decompositions-without-values": (lambda m, i: F.one_hot(i.abs(), 8), (WHOLE,)),
    "decompositions-to-named-tuples": (lambda m, x: torch.var_mean(x, -1), (X,)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("opset", [18, 20, 23, 24])
def test_an_opset_runs(name: str, opset: int, tmp_path: Path) -> None:
    function, args = CASES[name]
    module = Call(function)
    agree(module, lowered(captured(module, *args), target_named("standard").at(opset)), tmp_path, *args)


SIZES: dict[str, Callable[..., Any]] = {
    "divided": lambda m, x: x[:, : x.shape[1] // 2 + 1] * (x.shape[1] ** 0.5) / x.shape[1] - x.shape[0],
    "filled": lambda m, x: x.masked_fill(x > 0, x.shape[1]),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_numbers(name: str, tmp_path: Path) -> None:
    module = Call(SIZES[name])
    found = lowered(captured(module, X, dynamic=True), "standard")
    for x in (X, torch.cat([X, X], 1)):
        agree(module, found, tmp_path, x)


def test_a_buffer_called_like_an_input(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.arange(16.0))

        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return x * self.mask + mask

    module, mask = Masked().eval(), torch.randn(16, generator=SOURCE)
    agree(module, lowered(captured(module, X, mask)), tmp_path, X, mask)


def test_complex_weights_are_pairs(tmp_path: Path) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("angles", torch.polar(torch.ones(6, 8), torch.arange(48.0).reshape(6, 8)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (8, 2))) * self.angles).flatten(2)

    agree(Turned(), lowered(captured(Turned(), X)), tmp_path, X)


@pytest.mark.parametrize("target", ["ort-cpu", "standard"])
def test_the_epsilon_of_half_precision_is_that_of_float32(target: str, tmp_path: Path) -> None:
    module = nn.RMSNorm(16).half()
    x = (X * 1e-2).half()  # squares of 1e-4, below the epsilon of float16
    agree(module, lowered(captured(module, x), target), tmp_path, x, within=5e-3)
