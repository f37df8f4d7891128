"""Token ids in the place of a prompt."""

from __future__ import annotations

import pytest

from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.onnx_pipeline.token_ids import TokenIds

TOKENS = TokenIds(length=6, vocabulary=100, padding=99)


def test_ids_are_padded_to_the_length() -> None:
    made = TOKENS(["98 1 2", "98,5"], padding="max_length", max_length=6)
    assert made.input_ids.tolist() == [[98, 1, 2, 99, 99, 99], [98, 5, 99, 99, 99, 99]]
    assert made.attention_mask.tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]]


def test_the_longest_decides_without_a_length() -> None:
    assert TOKENS(["98 1 2", "98"], padding="longest").input_ids.tolist() == [[98, 1, 2], [98, 99, 99]]


def test_an_empty_prompt_is_padding() -> None:
    assert TOKENS("", padding="max_length").input_ids.tolist() == [[99] * 6]


def test_drawn_ids_are_those_of_their_seed() -> None:
    assert TOKENS.drawn(3) == TOKENS.drawn(3) != TOKENS.drawn(4)
    assert len(TOKENS.ids(TOKENS.drawn(3))) == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a house", "no list of token ids"), ("1 100", "no token 100"), ("-1", "no token -1")],
    ids=["words", "above", "below"],
)
def test_what_is_no_id_is_refused(text: str, expected: str) -> None:
    with pytest.raises(PipelineError, match=expected):
        TOKENS.ids(text)


def test_too_many_ids_are_refused_and_not_cut() -> None:
    with pytest.raises(PipelineError, match="7 token ids are given, the text encoder takes 6"):
        TOKENS("1 2 3 4 5 6 7", padding="max_length", max_length=6, truncation=True)
