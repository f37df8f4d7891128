"""The merge of one weight, bit for bit: any bits in any dtype, NaNs with their payloads included."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from graphlab.masks import EditedWeights, MaskedMerge, MaskError, merged, read_mask, write_mask
from graphlab.masks.merge import row_of

DTYPES = {
    torch.float32: torch.int32,
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
    torch.int8: torch.int8,
    torch.float8_e4m3fn: torch.uint8,
    torch.float64: torch.int64,
}


@st.composite
def cases(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Base, edited and mask of one shape; the bits of both weights are arbitrary."""
    dtype = draw(st.sampled_from(sorted(DTYPES, key=str)))
    whole = DTYPES[dtype]
    shape = draw(st.lists(st.integers(1, 6), max_size=3))
    count = math.prod(shape)
    info = torch.iinfo(whole)
    words = st.lists(st.integers(info.min, info.max), min_size=count, max_size=count)
    base, edited = (torch.tensor(draw(words), dtype=whole).reshape(shape).view(dtype) for _ in range(2))
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=count, max_size=count))).reshape(shape).bool()
    if len(shape) > 1 and draw(st.booleans()):
        base = base.transpose(0, -1).contiguous().transpose(0, -1)
    return base, edited, mask


@settings(max_examples=120, deadline=None)
@given(cases())
def test_every_bit_is_where_it_belongs(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    base, edited, mask = case
    whole = DTYPES[base.dtype]
    before = base.clone()
    result = merged(base, edited, mask)
    assert result.dtype is base.dtype
    assert result.stride() == base.stride()
    bits = result.view(whole)
    assert torch.equal(bits[mask], edited.view(whole)[mask])
    assert torch.equal(bits[~mask], base.view(whole)[~mask])
    assert torch.equal(base.view(whole), before.view(whole))
    assert result.untyped_storage().data_ptr() != base.untyped_storage().data_ptr()


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_account_by_counting(case: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    base, edited, mask = case
    whole = DTYPES[base.dtype]
    differs = base.view(whole) != edited.view(whole)
    row = row_of("w", mask, base, edited)
    assert row.entries == mask.numel()
    assert row.set_entries == int(mask.sum())
    assert row.density == row.set_entries / row.entries
    assert row.changed_entries == int((mask & differs).sum())
    assert row.ignored_entries == int((~mask & differs).sum())
    changes = [abs(float(b) - float(a)) for a, b in zip(base[mask & differs], edited[mask & differs], strict=True)] or [
        0.0
    ]
    if any(math.isnan(change) for change in changes):
        assert math.isnan(row.max_abs_change)
    else:
        assert row.max_abs_change == max(changes)


def test_nan_payloads_survive() -> None:
    """Two NaNs that differ in payload are two values: the masked one is the edited one, the other stays."""
    base = torch.tensor([0x7FC00001, 0x7FC00002], dtype=torch.int32).view(torch.float32)
    edited = torch.tensor([0x7FC0BEEF, 0x7FC0BEEF], dtype=torch.int32).view(torch.float32)
    found = merged(base, edited, torch.tensor([True, False])).view(torch.int32)
    assert found.tolist() == [0x7FC0BEEF, 0x7FC00002]


def test_minus_zero_is_another_value() -> None:
    row = row_of("w", torch.tensor([True]), torch.tensor([0.0]), torch.tensor([-0.0]))
    assert (row.changed_entries, row.max_abs_change) == (1, 0.0)


def test_complex_weights_have_words_of_their_own() -> None:
    base, edited = torch.tensor([1 + 2j, 3 + 4j]).to(torch.complex128), torch.tensor([5j, 6j]).to(torch.complex128)
    assert merged(base, edited, torch.tensor([False, True])).tolist() == [1 + 2j, 6j]
    assert row_of("w", torch.tensor([True, True]), base, base.conj()).max_abs_change == 8.0


def test_memory_between_the_entries_is_not_carried_over() -> None:
    """A column of a matrix has gaps; what lies in them is not the weight's and is not copied."""
    matrix = torch.full((4, 3), 7.0)
    found = merged(matrix[:, 0], torch.ones(4), torch.tensor([True, False, True, False]))
    assert found.tolist() == [1.0, 7.0, 1.0, 7.0]
    assert found.stride() == (3,)
    assert torch.tensor(found.untyped_storage()[:], dtype=torch.uint8).view(torch.float32)[1:3].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("base", "edited", "mask", "words"),
    [
        (torch.ones(2), torch.ones(3), torch.ones(2).bool(), "do not fit"),
        (torch.ones(2), torch.ones(2).half(), torch.ones(2).bool(), "do not fit"),
        (torch.ones(2), torch.ones(2), torch.ones(1).bool(), "do not fit"),
        (torch.ones(1).expand(2), torch.ones(2), torch.ones(2).bool(), "one place in memory"),
    ],
    ids=["shape", "dtype", "mask", "expanded"],
)
def test_what_does_not_fit(base: torch.Tensor, edited: torch.Tensor, mask: torch.Tensor, words: str) -> None:
    with pytest.raises(MaskError, match=words):
        merged(base, edited, mask)


def test_a_merge_in_another_dtype_converts_the_edited_values(tmp_path: Path) -> None:
    base, edited = {"w": torch.tensor([1.0, 2.0]).half()}, {"w": torch.tensor([0.1, 0.2]).half()}
    save_file(edited, str(tmp_path / "e.safetensors"))
    write_mask(tmp_path / "m.safetensors", {"w": torch.tensor([True, False])}, base)
    weights = EditedWeights.open(tmp_path / "e.safetensors", ["w"])
    merge = MaskedMerge(read_mask(tmp_path / "m.safetensors"), weights, "w", "")
    assert merge({"w": base["w"].double()}).tolist() == [edited["w"].double()[0].item(), 2.0]
    assert merge({"w": torch.empty(2, device="meta")}).is_meta
