"""Resampling: weighted sums an output element; nearest and pixel shuffle compute nothing."""

from __future__ import annotations

from typing import Any

import pytest

from graphlab.ops import rule_for
from tests.ops.oracle import meta, work

X, OUT = meta(2, 3, 4, 4), 2 * 3 * 8 * 8

ROWS = [
    # target, args, pointwise
    ("upsample_nearest2d.vec", (X, None, [2.0, 2.0]), 0),
    ("upsample_nearest2d.default", (X, [8, 8]), 0),
    ("_upsample_nearest_exact2d.vec", (X, [8, 8], None), 0),
    ("upsample_nearest3d.vec", (meta(2, 3, 2, 4, 4), None, [1.0, 2.0, 2.0]), 0),
    ("upsample_linear1d.default", (meta(2, 3, 4), [8], False), 3 * 48),
    ("upsample_bilinear2d.vec", (X, [8, 8], False, None), 9 * OUT),
    ("upsample_bicubic2d.default", (X, [8, 8], False), 35 * OUT),
    ("upsample_trilinear3d.vec", (meta(2, 3, 2, 4, 4), [4, 8, 8], False, None), 21 * 4 * OUT),
    ("avg_pool2d.default", (X, [2, 2], [2, 2]), 5 * 24),
    ("avg_pool2d.default", (X, [2]), 5 * 24),
    ("avg_pool1d.default", (meta(2, 3, 4), [2]), 3 * 12),
    ("max_pool2d.default", (X, [3, 3], [1, 1]), 9 * 24),
    ("max_pool2d_with_indices.default", (X, [2, 2]), 4 * 24),
    ("adaptive_avg_pool2d.default", (X, [1, 1]), 96 + 6),
    ("adaptive_avg_pool2d.default", (X, [2, 2]), 96 + 24),
    ("adaptive_max_pool2d.default", (X, [2, 2]), 96),
    ("pixel_shuffle.default", (meta(2, 12, 4, 4), 2), 0),
    ("pixel_unshuffle.default", (X, 2), 0),
    ("grid_sampler_2d.default", (X, meta(2, 5, 6, 2), 0, 0, False), 7 * 180 + 18 * 60),
    ("grid_sampler_2d.default", (X, meta(2, 5, 6, 2), 1, 0, False), 10 * 60),
    ("grid_sampler_2d.default", (X, meta(2, 5, 6, 2), 2, 0, False), 35 * 180 + 10 * 60),
]


@pytest.mark.parametrize(("target", "args", "pointwise"), ROWS)
def test_closed_forms(target: str, args: tuple[Any, ...], pointwise: int) -> None:
    assert work(f"aten.{target}", *args) == (0, pointwise)


def test_antialiased_interpolation_is_unknown_not_0() -> None:
    assert rule_for("aten._upsample_bilinear2d_aa.default") is None
    assert rule_for("aten._upsample_bicubic2d_aa.vec") is None
