"""The largest are kept, exactly as many as asked for, ties by their place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.config import Keep, Ranking
from graphlab.erase.saliency.ranking import kept

SCORES = {
    "a": torch.tensor([[0.1, 5.0], [3.0, 0.2]]),
    "b": torch.tensor([10.0, 20.0, 30.0, 40.0]),
    "c": torch.tensor(7.0),
}


def picked(scores: dict[str, torch.Tensor], fraction: float, ranking: Ranking, keep: Keep = "top") -> dict[str, object]:
    return {name: mask.int().tolist() for name, mask in kept(scores, fraction, ranking, keep).items()}


def test_the_largest_are_kept_in_each_tensor_or_over_all() -> None:
    assert picked(SCORES, 0.5, "tensor") == {"a": [[0, 1], [1, 0]], "b": [0, 0, 1, 1], "c": 1}
    assert picked(SCORES, 0.5, "global") == {"a": [[0, 0], [0, 0]], "b": [1, 1, 1, 1], "c": 1}
    assert picked(SCORES, 0.25, "tensor") == {"a": [[0, 1], [0, 0]], "b": [0, 0, 0, 1], "c": 0}


def test_bottom_is_the_released_mistake() -> None:
    assert picked(SCORES, 0.5, "tensor", "bottom") == {"a": [[1, 0], [0, 1]], "b": [1, 1, 0, 0], "c": 1}
    assert picked(SCORES, 4 / 9, "global", "bottom") == {"a": [[1, 1], [1, 1]], "b": [0, 0, 0, 0], "c": 0}


def test_ties_go_to_the_first() -> None:
    same = {"a": torch.ones(3), "b": torch.ones(2, 2)}
    assert picked(same, 4 / 7, "global") == {"a": [1, 1, 1], "b": [[1, 0], [0, 0]]}
    assert picked(same, 0.5, "tensor") == {"a": [1, 1, 0], "b": [[1, 1], [0, 0]]}
    assert picked(dict(reversed(same.items())), 4 / 7, "global") == {"b": [[1, 1], [1, 1]], "a": [0, 0, 0]}
    assert picked(same, 4 / 7, "global", "bottom") == {"a": [1, 1, 1], "b": [[1, 0], [0, 0]]}


def test_nothing_speaks_for_a_score_of_zero() -> None:
    scores = {"a": torch.tensor([0.0, 0.0, -0.0, 1e-45]), "b": torch.zeros(3)}
    assert picked(scores, 1.0, "tensor") == {"a": [0, 0, 0, 1], "b": [0, 0, 0]}
    assert picked(scores, 1.0, "global") == {"a": [0, 0, 0, 1], "b": [0, 0, 0]}
    assert picked(scores, 0.5, "tensor", "bottom") == {"a": [1, 1, 0, 0], "b": [1, 1, 0]}


@pytest.mark.parametrize("value", [-1.0, float("nan")], ids=["negative", "nan"])
def test_what_is_no_score_is_refused(value: float) -> None:
    with pytest.raises(EraseError, match="a score of a is negative or no number"):
        kept({"a": torch.tensor([1.0, value])}, 0.5, "tensor", "top")


VALUES = st.one_of(st.sampled_from([0.0, 1.0, 1.0000001, 2.0, 1e-30, 65536.0]), st.floats(0, 2.0**100, width=32))


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(st.lists(VALUES, min_size=1, max_size=30), min_size=1, max_size=4),
    fraction=st.floats(0.01, 1.0),
    ranking=st.sampled_from(["tensor", "global"]),
    keep=st.sampled_from(["top", "bottom"]),
    double=st.booleans(),
)
def test_it_is_what_a_stable_sort_would_keep(
    parts: list[list[float]], fraction: float, ranking: Ranking, keep: Keep, double: bool
) -> None:
    dtype = torch.float64 if double else torch.float32
    scores = {str(at): torch.tensor(part, dtype=dtype) for at, part in enumerate(parts)}
    made = kept(scores, fraction, ranking, keep)
    groups = [list(scores)] if ranking == "global" else [[name] for name in scores]
    for names in groups:
        flat = torch.cat([scores[name] for name in names])
        order = torch.sort(flat, descending=keep == "top", stable=True).indices[: int(fraction * len(flat) + 0.5)]
        expected = torch.zeros(len(flat), dtype=torch.bool)
        expected[order] = True
        if keep == "top":
            expected &= flat > 0
        assert torch.equal(torch.cat([made[name] for name in names]), expected)


def test_tensors_of_several_dtypes_are_ranked_together() -> None:
    scores = {"a": torch.tensor([1.0, 3.0], dtype=torch.float64), "b": torch.tensor([2.0, 4.0])}
    assert picked(scores, 0.5, "global") == {"a": [0, 1], "b": [0, 1]}
