"""Rows that are hidden throughout, by fills of several depths, by fills and additions together, in several dtypes.

Float64, in which every score shows: what an attention does with such rows is kept to the last digit, or it stays.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, heads, spelling

MINUS_INFINITY = float("-inf")
SMALLEST = torch.finfo(torch.float64).min


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * D**-0.5


def _padding() -> Tensor:
    """(B,1,1,K): True for the first keys, which every query before them would need."""
    hidden = torch.zeros(B, 1, 1, K, dtype=torch.bool)
    hidden[0, ..., :3] = True
    hidden[1, ..., :1] = True
    return hidden


def _causal(query: Tensor, key: Tensor) -> Tensor:
    return torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(1)


def _empty_row() -> Tensor:
    hidden = torch.rand(B, 1, Q, K) > 0.5
    hidden[0, 0, 2] = True
    return hidden


def _padded(dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return (*heads(dtype), _padding())


def _emptied(dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    return (*heads(dtype), _empty_row())


@spelling("rows", _padded)
def rows_filled_to_two_depths(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    scores = _scores(query, key).masked_fill(hidden, -1e4)
    return scores.masked_fill(_causal(query, key), -1e9).softmax(-1) @ value


@spelling("rows", _padded)
def rows_filled_less_the_second_time(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor
) -> Tensor:
    scores = _scores(query, key).masked_fill(hidden, SMALLEST)
    return scores.masked_fill(_causal(query, key), -1e9).softmax(-1) @ value


@spelling("rows", _padded)
def rows_filled_and_added_to_the_smallest(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor
) -> Tensor:
    scores = _scores(query, key).masked_fill(_causal(query, key), SMALLEST)
    return (scores + hidden.to(query.dtype) * SMALLEST).softmax(-1) @ value


@spelling("rows", _padded, 0, reason="hidden by both together")
def rows_filled_and_added_to_the_same_depth(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor
) -> Tensor:
    scores = _scores(query, key).masked_fill(_causal(query, key), -1e4)
    return (scores + hidden.to(query.dtype) * -1e4).softmax(-1) @ value


@spelling("rows", _padded)
def rows_filled_far_below_what_is_added(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor
) -> Tensor:
    scores = _scores(query, key) + hidden.to(query.dtype) * -1e4
    return scores.masked_fill(_causal(query, key), -1e9).softmax(-1) @ value


@spelling("rows", _emptied)
class RowsFilledThenBiased(nn.Module):
    """The bias alone tells the keys of an empty row apart."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(H, Q, K, dtype=torch.float64))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
        """Attention of heads."""
        return (_scores(query, key).masked_fill(hidden, -1e4) + self.bias).softmax(-1) @ value


@spelling("rows", lambda: _emptied(torch.float16))
def rows_filled_beyond_the_dtype(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    """-1e9 is -inf in float16: an empty row is NaN."""
    return torch.where(hidden, -1e9, _scores(query, key)).softmax(-1) @ value


@spelling("rows", lambda: _emptied(torch.float32))
def rows_filled_then_scaled_beyond_the_dtype(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor
) -> Tensor:
    scores = _scores(query, key).masked_fill(hidden, torch.finfo(torch.float32).min)
    return (scores * 2).softmax(-1) @ value


@spelling("rows", lambda: _emptied(torch.float32))
def rows_filled_then_cast_down(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    probabilities = _scores(query, key).masked_fill(hidden, -1e9).softmax(-1, dtype=torch.float16)
    return probabilities @ value.half()


@spelling("rows", lambda: _emptied(torch.float32))
def rows_added_to_then_cast_down(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor) -> Tensor:
    probabilities = (_scores(query, key) + hidden.float() * -1e9).half().softmax(-1)
    return probabilities @ value.half()


@spelling("rows", lambda: heads(torch.float64))
class RowsOfAKeyMajorConstant(nn.Module):
    """The third query keeps no key; the mask is stored by keys."""

    def __init__(self) -> None:
        super().__init__()
        hidden = torch.zeros(K, Q, dtype=torch.bool)
        hidden[:, 2] = True
        self.register_buffer("hidden", hidden)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of heads."""
        assert isinstance(self.hidden, Tensor)
        return (key @ query.mT).masked_fill(self.hidden, MINUS_INFINITY).softmax(-2).mT @ value


@spelling("rows", lambda: (torch.randn(B, H, K + 2, D), *heads()[1:]))
def rows_of_a_key_major_triangle(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """More queries than keys: the last ones keep none."""
    hidden = ~torch.ones(key.shape[-2], query.shape[-2], dtype=torch.bool).tril()
    scores = (key @ query.mT).masked_fill(hidden.logical_not().triu(1) | hidden, MINUS_INFINITY)
    return scores.softmax(-2).mT @ value


@spelling("rows", lambda: (*heads(), -5 * _padding().long()), either=True)
def rows_of_a_whole_number_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = (_scores(query, key) + mask).masked_fill(_causal(query, key), MINUS_INFINITY)
    return scores.softmax(-1) @ value
