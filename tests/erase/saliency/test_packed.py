"""Combining masks in packed bits: what a sum over all of them would say, and never all of them in memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.config import Combine
from graphlab.erase.saliency.density import densities, density
from graphlab.erase.saliency.packed import PackedMasks, Votes, ones
from graphlab.masks import pack

SHAPES = {"a": (3, 5), "b": (1,), "c": (16,)}


def drawn(seed: int, share: float) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=generator) < share for name, shape in SHAPES.items()}


def combined(combine: Combine, maps: list[dict[str, torch.Tensor]], votes: int | None = None) -> PackedMasks:
    made = Votes(combine, votes)
    for masks in maps:
        made.add(masks)
    return made.result()


@settings(max_examples=80, deadline=None)
@given(count=st.integers(1, 20), share=st.floats(0.05, 0.95), seed=st.integers(0, 1000), data=st.data())
def test_combinations_are_what_counting_says(count: int, share: float, seed: int, data: st.DataObject) -> None:
    maps = [drawn(seed * 100 + at, share) for at in range(count)]
    votes = data.draw(st.integers(1, count))
    total = {name: torch.stack([masks[name] for masks in maps]).sum(0) for name in SHAPES}
    for combine, least in (("intersection", count), ("union", 1), ("vote", votes)):
        made = combined(combine, maps, votes if combine == "vote" else None)
        assert list(made) == list(SHAPES)
        for name in SHAPES:
            assert torch.equal(made[name], total[name] >= least)
            assert made.set_entries(name) == int((total[name] >= least).sum())


@settings(max_examples=50, deadline=None)
@given(count=st.integers(2, 12), share=st.floats(0.3, 0.95), seed=st.integers(0, 1000))
def test_the_intersection_shrinks_and_the_union_grows(count: int, share: float, seed: int) -> None:
    both, either = Votes("intersection"), Votes("union")
    before = None
    for at in range(count):
        masks = drawn(seed * 100 + at, share)
        both.add(masks)
        either.add(masks)
        now = {name: (both.result()[name], either.result()[name]) for name in SHAPES}
        if before is not None:
            for name in SHAPES:
                assert not bool((now[name][0] & ~before[name][0]).any())
                assert not bool((before[name][1] & ~now[name][1]).any())
        before = now


def test_a_vote_falls_with_the_number_asked_for_and_more_than_all_is_none() -> None:
    maps = [drawn(seed, 0.5) for seed in range(9)]
    sizes = [sum(row.kept for row in densities(combined("vote", maps, votes))) for votes in range(1, 12)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == sum(row.kept for row in densities(combined("union", maps)))
    assert sizes[8] == sum(row.kept for row in densities(combined("intersection", maps)))
    assert sizes[9:] == [0, 0]


@pytest.mark.parametrize(("combine", "planes"), [("intersection", 1), ("union", 1), ("vote", 5)])
def test_what_is_held_does_not_grow_with_the_maps(combine: Combine, planes: int) -> None:
    votes = Votes(combine, 3 if combine == "vote" else None)
    packed = sum(len(pack(mask)) for mask in drawn(0, 0.5).values())
    for seed in range(31):
        votes.add(drawn(seed, 0.6))
        assert votes.held <= planes * packed
    assert votes.added == 31


def test_masks_of_other_weights_are_refused() -> None:
    votes = Votes("union")
    votes.add(drawn(0, 0.5))
    with pytest.raises(EraseError, match="of different weights"):
        votes.add({"a": torch.ones(3, 5, dtype=torch.bool)})
    with pytest.raises(EraseError, match="of different weights"):
        votes.add({**drawn(0, 0.5), "c": torch.ones(4, 4, dtype=torch.bool)})


def test_densities_by_weight() -> None:
    masks = {"a": torch.tensor([[True, False], [False, False]]), "b": torch.tensor(True)}
    packed = combined("union", [masks])
    for given_masks in (masks, packed):
        rows = densities(given_masks)
        assert [(row.key, row.shape, row.entries, row.kept, row.density) for row in rows] == [
            ("a", (2, 2), 4, 1, 0.25),
            ("b", (), 1, 1, 1.0),
        ]
        assert density(rows) == 0.4
    assert ones(torch.tensor([255, 1, 0], dtype=torch.uint8)) == 9
