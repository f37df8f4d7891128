"""The corpus itself: enough of both kinds, every name once, the same draws every time."""

from __future__ import annotations

import torch

from tests.attention_corpus import FAMILIES, corpus

CORPUS = corpus()


def test_enough_of_both_kinds() -> None:
    assert sum(entry.attentions > 0 and not entry.either for entry in CORPUS) >= 70
    assert sum(entry.attentions == 0 and not entry.either for entry in CORPUS) >= 35
    assert {f"inductor_{number}" for number in range(1, 31)} <= {entry.name for entry in CORPUS}


def test_names_are_unique_and_families_known() -> None:
    assert len({entry.name for entry in CORPUS}) == len(CORPUS)
    assert {entry.family.replace(" ", "_") for entry in CORPUS} == set(FAMILIES)


def test_every_call_draws_the_same() -> None:
    for entry in CORPUS:
        one, two = entry.inputs(), entry.inputs()
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True)), entry.name
