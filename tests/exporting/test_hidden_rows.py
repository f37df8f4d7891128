"""Queries whose keys a mask hides all: 0, as scaled_dot_product_attention has it, in every spelling."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from graphlab.exporting.targets import target_named
from tests.exporting.runs import Call, agree, captured, lowered

SOURCE = torch.Generator().manual_seed(0)
X = torch.randn(2, 6, 16, generator=SOURCE)
KEPT = torch.rand(2, 1, 6, 6, generator=SOURCE) > 0.4
KEPT[0, 0, 2], KEPT[1, 0] = False, False
MASKS = {
    "boolean": KEPT,
    "additive": torch.zeros(KEPT.shape).masked_fill(~KEPT, float("-inf")),
    "by-head": KEPT.expand(2, 2, 6, 6) & (torch.rand(2, 2, 6, 6, generator=SOURCE) > 0.3),
    "for-all": KEPT[0, 0].clone(),
}


def attention(m: object, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    heads = [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in (x, x.cos(), x.sin())]
    return F.scaled_dot_product_attention(*heads, mask).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize(("target", "opset"), [("ort-cpu", 23), ("ort-cpu", 20), ("standard", 23), ("standard", 20)])
def test_hidden_rows_are_0(kind: str, target: str, opset: int, tmp_path: Path) -> None:
    module, mask = Call(attention), MASKS[kind].contiguous()
    assert not module(X, mask).isnan().any()
    agree(module, lowered(captured(module, X, mask), target_named(target).at(opset)), tmp_path, X, mask)


def test_a_causal_mask_hides_no_row(tmp_path: Path) -> None:
    module = Call(lambda m, x: attention(m, x, torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()))
    found = lowered(captured(module, X, dynamic=True))
    assert found.operators["com.microsoft::MultiHeadAttention"] == 1
    assert not any(operator.startswith("Reduce") for operator in found.operators)
    agree(module, found, tmp_path, X)


def test_a_triangle_below_the_diagonal_hides_the_first_row(tmp_path: Path) -> None:
    module = Call(lambda m, x: attention(m, x, torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril(-1)))
    assert not module(X)[:, 0].any()
    agree(module, lowered(captured(module, X, dynamic=True)), tmp_path, X)


@pytest.mark.parametrize("target", ["ort-cpu", "standard"])
def test_as_many_heads_of_keys_are_not_grouped(target: str, tmp_path: Path) -> None:
    module = Call(lambda m, x: F.scaled_dot_product_attention(*(x.unflatten(-1, (2, 8)).mT,) * 3, enable_gqa=True))
    agree(module, lowered(captured(module, X), target), tmp_path, X)
