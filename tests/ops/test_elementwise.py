"""Elementwise ops: one FLOP an output element an elementary operation; the output is the broadcast of the inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.ops.oracle import meta, work

X, ROW, B = meta(2, 3), meta(3), meta(2, 3, dtype=torch.bool)
Z = meta(2, 3, dtype=torch.complex64)
N = 6

ROWS = [
    # target, args, kwargs, pointwise
    ("add.Tensor", (X, ROW), {}, N),
    ("add.Tensor", (X, ROW), {"alpha": 2}, 2 * N),
    ("add.Tensor", (meta(2, 1), meta(1, 5)), {}, 10),
    ("add.Tensor", (X, 1), {}, N),
    ("add.Scalar", (X, 1), {}, N),
    ("add_.Tensor", (X, ROW), {}, N),
    ("rsub.Scalar", (X, 1), {}, N),
    ("mul.Tensor", (X, ROW), {}, N),
    ("mul.Tensor", (Z, Z), {}, 6 * N),
    ("mul.Tensor", (Z, X), {}, 2 * N),
    ("add.Tensor", (Z, Z), {}, 2 * N),
    ("div.Tensor", (X, ROW), {}, N),
    ("div.Tensor", (Z, Z), {}, 11 * N),
    ("div.Tensor_mode", (X, ROW), {"rounding_mode": "floor"}, 2 * N),
    ("floor_divide.default", (X, ROW), {}, 2 * N),
    ("remainder.Scalar", (X, 3), {}, N),
    ("pow.Tensor_Scalar", (X, 2), {}, N),
    ("pow.Scalar", (2, X), {}, N),
    ("neg.default", (X,), {}, N),
    ("exp.default", (X,), {}, N),
    ("rsqrt.default", (X,), {}, N),
    ("erf.default", (X,), {}, N),
    ("cos.default", (X,), {}, N),
    ("round.default", (X,), {}, N),
    ("round.decimals", (X,), {"decimals": 2}, 3 * N),
    ("abs.default", (Z,), {}, 2 * N),
    ("clamp.default", (X, 0), {}, N),
    ("clamp.default", (X, 0, 1), {}, 2 * N),
    ("clamp_min.default", (X, 0), {}, N),
    ("clamp_max.Tensor", (X, ROW), {}, N),
    ("maximum.default", (X, ROW), {}, N),
    ("min.other", (X, ROW), {}, N),
    ("eq.Tensor", (X, ROW), {}, N),
    ("ge.Scalar", (X, 1), {}, N),
    ("logical_and.default", (B, B), {}, N),
    ("logical_not.default", (B,), {}, N),
    ("bitwise_and.Tensor", (B, B), {}, N),
    ("__and__.Tensor", (B, B), {}, N),
    ("where.self", (B, X, ROW), {}, N),
    ("where.ScalarOther", (B, X, 0.0), {}, N),
    ("masked_fill.Scalar", (X, B, 0.0), {}, N),
    ("lerp.Scalar", (X, X, 0.5), {}, 3 * N),
    ("addcmul.default", (X, X, X), {}, 2 * N),
    ("addcmul.default", (X, X, X), {"value": 2}, 3 * N),
    ("nan_to_num.default", (X,), {}, 3 * N),
    ("logit.default", (X,), {}, 3 * N),
    ("logit.default", (X, 1e-3), {}, 5 * N),
    ("logaddexp.default", (X, X), {}, 4 * N),
    ("polar.default", (X, X), {}, 4 * N),
    ("complex.default", (X, X), {}, 0),
    ("diff.default", (X,), {}, 4),
]


@pytest.mark.parametrize(("target", "args", "kwargs", "pointwise"), ROWS)
def test_closed_forms(target: str, args: tuple[Any, ...], kwargs: dict[str, Any], pointwise: int) -> None:
    assert work(f"aten.{target}", *args, **kwargs) == (0, pointwise)


def test_integers_and_booleans_count_like_floats() -> None:
    positions = meta(7, dtype=torch.int64)
    assert work("aten.add.Tensor", positions, 1) == (0, 7)
    assert work("aten.le.Tensor", positions[None, :], positions[:, None]) == (0, 49)
