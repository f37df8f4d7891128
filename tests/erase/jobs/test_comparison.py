"""Which entries changed, to the bit."""

from __future__ import annotations

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.comparison import changed_weights, outside

NAN = float("nan")


def test_bits_are_compared_and_not_values() -> None:
    before = {"a": torch.tensor([0.0, NAN, 1.0, 2.0]), "n": torch.tensor(3)}
    after = {"a": torch.tensor([-0.0, NAN, 1.0, 2.5]), "n": torch.tensor(4)}
    first, second = changed_weights(before, after)
    assert (first.entries, first.changed, first.outside) == (4, 2, None)
    assert (second.entries, second.changed) == (1, 1)
    assert outside((first, second)) == 0


def test_what_a_mask_does_not_name_may_not_change() -> None:
    before = {"a": torch.zeros(2, 2), "b": torch.zeros(3)}
    after = {"a": torch.ones(2, 2), "b": torch.tensor([0.0, 1.0, 0.0])}
    mask = {"a": torch.tensor([[True, False], [True, True]])}
    first, second = changed_weights(before, after, mask)
    assert (first.changed, first.outside) == (4, 1)
    assert (second.changed, second.outside) == (1, 1)
    assert outside((first, second)) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.bool], ids=str)
def test_dtypes(dtype: torch.dtype) -> None:
    one, other = torch.zeros(3, dtype=dtype), torch.tensor([0, 1, 0]).to(dtype)
    (row,) = changed_weights({"a": one}, {"a": other})
    assert row.changed == 1


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({}, "differ in their weights: a"),
        ({"a": torch.zeros(3)}, r"a was \(2,\)"),
        ({"a": torch.zeros(2, dtype=torch.float16)}, "float16"),
    ],
    ids=["missing", "shape", "dtype"],
)
def test_refuses_other_models(after: dict[str, torch.Tensor], says: str) -> None:
    with pytest.raises(EraseError, match=says):
        changed_weights({"a": torch.zeros(2)}, after)
