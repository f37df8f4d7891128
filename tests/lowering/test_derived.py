"""Weights a backend made of those it was given."""

from __future__ import annotations

import pytest
import torch

from graphlab.lowering.derived import Derived
from graphlab.rewriting.new_tensor import NewTensor


def test_new_tensors_are_made_of_others_and_of_each_other() -> None:
    made = (
        NewTensor("both", 16, ("a", "b"), lambda t: torch.cat([t["a"], t["b"]])),
        NewTensor("turned", 16, ("both",), lambda t: t["both"].flip(0)),
        NewTensor("a", 8, ("a",), lambda t: 10 * t["a"]),
    )
    values = Derived({"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}, made)
    assert values["a"].tolist() == [10.0, 20.0]
    assert values["both"].tolist() == [10.0, 20.0, 3.0, 4.0]
    assert values["turned"].tolist() == [4.0, 3.0, 20.0, 10.0]
    assert list(values) == ["a", "b", "both", "turned"]
    assert len(values) == 4
    with pytest.raises(KeyError):
        values["c"]
