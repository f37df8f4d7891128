"""Packing: the bit order written out, round trips for any shape, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.masks import MaskError, pack, unpack
from graphlab.masks.bits import packed_bytes, raw, words


@st.composite
def masks(draw: st.DrawFn) -> torch.Tensor:
    """Boolean tensors of 0 to 4 axes, sizes 0 to 9, perhaps transposed."""
    shape = draw(st.lists(st.integers(0, 9), max_size=4))
    count = math.prod(shape)
    bits = draw(st.integers(0, 2**count - 1)) if count else 0
    mask = torch.tensor([bits >> i & 1 for i in range(count)], dtype=torch.bool).reshape(shape)
    return mask.transpose(0, -1) if len(shape) > 1 and draw(st.booleans()) else mask


def test_bit_order_by_hand() -> None:
    """Bit i of byte j is element 8 j + i: elements 0, 3 and 9 are 1 + 8 in byte 0 and 2 in byte 1."""
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 0] = mask[0, 3] = mask[1, 4] = True
    assert pack(mask).tolist() == [1 + 8, 2]


def test_a_scalar_is_one_bit() -> None:
    assert pack(torch.tensor(True)).tolist() == [1]
    assert unpack(torch.tensor([1], dtype=torch.uint8), ()).item() is True


@settings(max_examples=100, deadline=None)
@given(masks())
def test_round_trip(mask: torch.Tensor) -> None:
    packed = pack(mask)
    assert packed.dtype is torch.uint8
    assert packed.numel() == packed_bytes(mask.shape) == (mask.numel() + 7) // 8
    assert torch.equal(unpack(packed, mask.shape), mask)


@settings(max_examples=100, deadline=None)
@given(masks())
def test_bits_are_where_the_format_says(mask: torch.Tensor) -> None:
    packed = pack(mask).tolist()
    spelled = [bool(packed[i // 8] >> (i % 8) & 1) for i in range(mask.numel())]
    assert spelled == mask.reshape(-1).tolist()
    assert sum(byte.bit_count() for byte in packed) == int(mask.sum())


@pytest.mark.parametrize("padding", range(1, 8))
def test_any_padding_bit_is_an_error(padding: int) -> None:
    with pytest.raises(MaskError, match="padding"):
        unpack(torch.tensor([1 << padding], dtype=torch.uint8), (1,))


@pytest.mark.parametrize(
    ("packed", "shape"),
    [
        (torch.zeros(2, dtype=torch.uint8), (8,)),
        (torch.zeros(0, dtype=torch.uint8), (8,)),
        (torch.zeros(1, dtype=torch.int8), (8,)),
        (torch.zeros(1, 1, dtype=torch.uint8), (8,)),
    ],
    ids=["too long", "too short", "signed", "two axes"],
)
def test_what_is_no_mask_of_the_shape(packed: torch.Tensor, shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskError, match="is no mask of shape"):
        unpack(packed, shape)


def test_only_bool_is_packed() -> None:
    with pytest.raises(MaskError, match="uint8"):
        pack(torch.ones(8, dtype=torch.uint8))


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.int8, torch.float8_e4m3fn, torch.bfloat16, torch.float32, torch.float64, torch.complex128],
    ids=str,
)
def test_raw_holds_every_bit(dtype: torch.dtype) -> None:
    """What `raw` gives are the bytes of the elements in row-major order, whatever the strides."""
    values = torch.tensor([[1, 0, 1], [0, 0, 1]]).to(dtype)
    found = raw(values.t())
    assert found.shape == (6 * words(dtype),)
    assert found.numpy().tobytes() == values.t().contiguous().view(torch.uint8).numpy().tobytes()
