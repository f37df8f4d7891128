"""Convolutions: closed forms, and torch's counter on random shapes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.ops.oracle import counted_op, meta, work

ROWS = [
    # target, args, flops, pointwise
    ("conv2d.default", (meta(2, 3, 8, 8), meta(4, 3, 3, 3), None, [1, 1], [1, 1]), 2 * 2 * 64 * 4 * 3 * 9, 0),
    ("conv2d.default", (meta(2, 3, 8, 8), meta(4, 3, 3, 3), meta(4), [2, 2], [1, 1]), 2 * 2 * 16 * 4 * 27, 2 * 16 * 4),
    ("conv2d.default", (meta(3, 8, 8), meta(4, 3, 1, 1), meta(4)), 2 * 64 * 4 * 3, 64 * 4),
    ("conv2d.default", (meta(2, 4, 8, 8), meta(4, 1, 3, 3), None, [1, 1], [1, 1], [1, 1], 4), 2 * 2 * 64 * 4 * 9, 0),
    ("conv1d.default", (meta(2, 3, 8), meta(4, 3, 3)), 2 * 2 * 6 * 4 * 9, 0),
    ("conv3d.default", (meta(2, 3, 4, 8, 8), meta(4, 3, 3, 1, 1), None, [1, 1, 1], [1, 0, 0]), 2 * 2 * 256 * 4 * 9, 0),
    ("conv2d.padding", (meta(2, 3, 8, 8), meta(4, 3, 4, 4), None, [1, 1], "same"), 2 * 2 * 64 * 4 * 3 * 16, 0),
    (
        "conv_transpose2d.input",
        (meta(2, 3, 4, 4), meta(3, 5, 2, 2), meta(5), [2, 2]),
        2 * 2 * 16 * 3 * 5 * 4,
        2 * 64 * 5,
    ),
    (
        "convolution.default",
        (meta(2, 3, 4, 4), meta(3, 5, 2, 2), None, [2, 2], [0, 0], [1, 1], True, [0, 0], 1),
        2 * 2 * 16 * 3 * 5 * 4,
        0,
    ),
]


@pytest.mark.parametrize(("target", "args", "flops", "pointwise"), ROWS)
def test_closed_forms(target: str, args: tuple[Any, ...], flops: int, pointwise: int) -> None:
    assert work(f"aten.{target}", *args) == (flops, pointwise)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[str, tuple[Any, ...]]:
    """(target, args): 1 to 3 axes, grouped, strided, dilated, padded, transposed, with or without batch and bias."""
    dims, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    channels, filters = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel = [draw(st.integers(1, 3)) for _ in range(dims)]
    space = [draw(st.integers(1, 6)) for _ in range(dims)]
    stride, dilation = [draw(st.integers(1, 3)) for _ in range(dims)], [draw(st.integers(1, 2)) for _ in range(dims)]
    padding = [draw(st.integers(0, 2)) for _ in range(dims)]
    batch = draw(st.sampled_from(([], [2])))
    given = meta(*batch, channels, *space)
    if draw(st.booleans()):
        weight, bias = meta(channels, filters // groups, *kernel), draw(st.sampled_from((None, meta(filters))))
        kind = "default" if dims == 1 else "input"
        extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)]
        args = (given, weight, bias, stride, padding, extra, groups, dilation)
        return f"aten.conv_transpose{dims}d.{kind}", args
    weight, bias = meta(filters, channels // groups, *kernel), draw(st.sampled_from((None, meta(filters))))
    if draw(st.integers(0, 4)) == 0:
        return f"aten.conv{dims}d.padding", (given, weight, bias, [1] * dims, "same", dilation, groups)
    return f"aten.conv{dims}d.default", (given, weight, bias, stride, padding, dilation, groups)


@given(convolutions())
@settings(max_examples=120, deadline=None)
def test_random_convolutions_are_torchs_count(case: tuple[str, tuple[Any, ...]]) -> None:
    target, args = case
    try:
        expected = counted_op(target, *args)
    except RuntimeError:  # the kernel is larger than the padded input
        assume(False)
    assert work(target, *args).flops == expected
