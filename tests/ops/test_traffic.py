"""Bytes and aliasing: the stride test against torch's own views, and closed forms for what moves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.ops import TABLE
from graphlab.ops.traffic import aliases, is_viewable, same_layout, traffic
from tests.ops.oracle import bound, meta, spec_of

X = meta(2, 3, 4)
BYTES = 4 * 24


@st.composite
def strided(draw: st.DrawFn) -> torch.Tensor:
    """A small CPU tensor, permuted, sliced, expanded or with axes of 1 and 0."""
    shape = draw(st.lists(st.sampled_from((0, 1, 1, 2, 2, 3, 4)), max_size=4))
    tensor = torch.empty(shape)
    for _ in range(draw(st.integers(0, 3))):
        if tensor.dim() == 0:
            break
        axis = draw(st.integers(0, tensor.dim() - 1))
        kind = draw(st.sampled_from(("permute", "slice", "step", "expand", "unsqueeze")))
        if kind == "permute":
            tensor = tensor.permute(draw(st.permutations(range(tensor.dim()))))
        elif kind == "slice":
            tensor = tensor.narrow(axis, 0, max(tensor.shape[axis] - 1, 0))
        elif kind == "step":
            tensor = tensor[(slice(None),) * axis + (slice(None, None, 2),)]
        elif kind == "expand":
            tensor = tensor.expand(2, *tensor.shape) if tensor.dim() < 5 else tensor
        else:
            tensor = tensor.unsqueeze(axis)
    return tensor


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[torch.Tensor, list[int]]:
    """A strided tensor and another shape of as many elements."""
    tensor = draw(strided())
    left, shape = tensor.numel(), []
    while left > 1:
        divisors = [d for d in range(1, left + 1) if left % d == 0]
        shape.append(draw(st.sampled_from(divisors)))
        left //= shape[-1]
        if len(shape) > 5:
            shape.append(left)
            break
    return tensor, [0] if tensor.numel() == 0 else shape


@given(reshapes())
@settings(max_examples=400, deadline=None)
def test_viewable_is_torchs(case: tuple[torch.Tensor, list[int]]) -> None:
    tensor, shape = case
    try:
        tensor.view(shape)
        expected = True
    except RuntimeError:
        expected = False
    assert is_viewable(tuple(tensor.shape), tensor.stride(), tuple(shape)) == expected


@given(reshapes())
@settings(max_examples=200, deadline=None)
def test_reshape_flatten_and_contiguous_alias_when_torch_shares_memory(case: tuple[torch.Tensor, list[int]]) -> None:
    tensor, shape = case
    for target, args in (
        ("aten.reshape.default", (shape,)),
        ("aten.flatten.using_ints", ()),
        ("aten.contiguous.default", ()),
    ):
        name = target.split(".")[1]
        result = getattr(tensor, name)(*args)
        shared = result.data_ptr() == tensor.data_ptr() or tensor.numel() == 0
        found = aliases(TABLE[target], (spec_of(tensor), *spec_of(args)), {}, spec_of(result))
        assert found == shared
        assert traffic(TABLE[target], (spec_of(tensor), *spec_of(args)), {}, spec_of(result)) == (
            (0, 0) if shared else (spec_of(tensor).distinct_bytes, spec_of(result).nbytes)
        )


@pytest.mark.parametrize(
    ("dtype", "kwargs", "moved"),
    [
        (torch.float32, {}, (0, 0)),
        (torch.float16, {}, (BYTES, BYTES // 2)),
        (torch.float32, {"copy": True}, (BYTES, BYTES)),
        (torch.float64, {}, (BYTES, 2 * BYTES)),
    ],
)
def test_casts_copy_when_the_dtype_changes(dtype: torch.dtype, kwargs: dict[str, Any], moved: tuple[int, int]) -> None:
    assert traffic(*bound("aten.to.dtype", X, dtype, **kwargs)) == moved
    assert aliases(*bound("aten.to.dtype", X, dtype, **kwargs)) == (moved == (0, 0))


def test_channels_last_copies_although_nothing_else_changes() -> None:
    image = meta(2, 3, 4, 5)
    moved = traffic(*bound("aten.contiguous.default", image, memory_format=torch.channels_last))
    assert moved == (480, 480)
    assert same_layout(spec_of(meta(2, 1, 4, 5)), spec_of(meta(2, 1, 4, 5).to(memory_format=torch.channels_last)))


ROWS = [
    # target, args, kwargs, read, written, alias
    ("view.default", (X, [6, 4]), {}, 0, 0, True),
    ("transpose.int", (X, 0, 1), {}, 0, 0, True),
    ("expand.default", (meta(1, 3), [5, 3]), {}, 0, 0, True),
    ("slice.Tensor", (X, 1, 0, 2), {}, 0, 0, True),
    ("split.Tensor", (X, 1, 1), {}, 0, 0, True),
    ("unbind.int", (X,), {}, 0, 0, True),
    ("dropout.default", (X, 0.1, False), {}, 0, 0, True),
    ("dropout.default", (X, 0.1, True), {}, BYTES, BYTES, False),
    ("clone.default", (X,), {}, BYTES, BYTES, False),
    ("_to_copy.default", (X,), {"dtype": torch.float16}, BYTES, BYTES // 2, False),
    ("cat.default", ([X, X],), {}, 2 * BYTES, 2 * BYTES, False),
    ("stack.default", ([X, X],), {}, 2 * BYTES, 2 * BYTES, False),
    ("repeat.default", (X, [2, 1, 1]), {}, BYTES, 2 * BYTES, False),
    ("roll.default", (X, [1], [0]), {}, BYTES, BYTES, False),
    ("constant_pad_nd.default", (X, [0, 1]), {}, BYTES, 4 * 30, False),
    ("add.Tensor", (X, meta(4)), {}, BYTES + 16, BYTES, False),
    ("add.Tensor", (X, meta(1, 1, 4).expand(2, 3, 4)), {}, BYTES + 16, BYTES, False),
    ("add_.Tensor", (X, meta(4)), {}, BYTES + 16, BYTES, True),
    ("masked_fill_.Scalar", (X, meta(4, dtype=torch.bool), 0), {}, BYTES + 4, BYTES, True),
    ("copy_.default", (X, meta(4)), {}, 16, BYTES, True),
    ("fill_.Scalar", (X, 0), {}, 0, BYTES, True),
    ("zeros.default", ([2, 3],), {}, 0, 24, False),
    ("zeros_like.default", (X,), {}, 0, BYTES, False),
    ("empty.memory_format", ([2, 3],), {}, 0, 0, False),
    ("empty_like.default", (X,), {}, 0, 0, False),
    ("new_ones.default", (X, [2]), {}, 0, 8, False),
    ("arange.default", (5,), {}, 0, 40, False),
    ("embedding.default", (meta(100, 8), meta(2, 3, dtype=torch.int64)), {}, 6 * 32 + 48, 6 * 32, False),
    ("index_select.default", (meta(100, 8), 0, meta(3, dtype=torch.int64)), {}, 3 * 32 + 24, 3 * 32, False),
    ("gather.default", (X, 2, meta(2, 3, 1, dtype=torch.int64)), {}, 24 + 48, 24, False),
    ("index.Tensor", (X, [None, meta(2, dtype=torch.int64)]), {}, 64 + 16, 64, False),
    ("slice_scatter.default", (X, meta(2, 1, 4), 1, 0, 1), {}, BYTES, BYTES, False),
    ("index_put.default", (X, [meta(1, dtype=torch.int64)], meta(3, 4)), {}, BYTES + 8 + 48, BYTES, False),
    ("index_put_.default", (X, [meta(1, dtype=torch.int64)], meta(3, 4)), {}, 8 + 48, 48, True),
    ("index_put_.default", (X, [meta(1, dtype=torch.int64)], meta(3, 4), True), {}, 8 + 48 + 48, 48, True),
    ("index_copy_.default", (X, 1, meta(1, dtype=torch.int64), meta(2, 1, 4)), {}, 8 + 32, 32, True),
    ("scatter_.src", (X, 2, meta(2, 3, 1, dtype=torch.int64), meta(2, 3, 2)), {}, 48 + 24, 24, True),
    ("scatter_.value", (X, 2, meta(2, 3, 1, dtype=torch.int64), 1.0), {}, 48, 24, True),
    ("layer_norm.default", (X, [4], meta(4), meta(4)), {}, BYTES + 32, BYTES, False),
    ("native_layer_norm.default", (X, [4], meta(4), meta(4), 1e-5), {}, BYTES + 32, BYTES + 48, False),
    ("linear.default", (X, meta(5, 4), meta(5)), {}, BYTES + 80 + 20, 4 * 30, False),
    ("reshape_as.default", (X, meta(6, 4)), {}, 0, 0, True),
    ("type_as.default", (X, meta(1, dtype=torch.float16)), {}, BYTES, BYTES // 2, False),
    ("view_as_complex.default", (meta(3, 2),), {}, 0, 0, True),
    ("meshgrid.indexing", ([meta(2), meta(3)],), {"indexing": "ij"}, 0, 0, True),
]


@pytest.mark.parametrize(("target", "args", "kwargs", "read", "written", "alias"), ROWS)
def test_closed_forms(
    target: str, args: tuple[Any, ...], kwargs: dict[str, Any], read: int, written: int, alias: bool
) -> None:
    call = bound(f"aten.{target}", *args, **kwargs)
    assert traffic(*call) == (read, written)
    assert aliases(*call) == alias


def test_one_tensor_read_twice_is_read_once_when_names_are_given() -> None:
    call = bound("aten.mul.Tensor", X, X)
    assert traffic(*call) == (2 * BYTES, BYTES)
    assert traffic(*call, refs=("x", "x")) == (BYTES, BYTES)
    assert traffic(*call, refs=("x", "y")) == (2 * BYTES, BYTES)


def test_getitem_moves_nothing() -> None:
    pieces = spec_of(X.split(1, 1))
    assert traffic(TABLE["getitem"], (pieces, 0), {}, pieces[0]) == (0, 0)
    assert aliases(TABLE["getitem"], (pieces, 0), {}, pieces[0])
