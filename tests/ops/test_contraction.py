"""Matrix products: closed forms, and torch's counter on random shapes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.ops import TABLE
from graphlab.ops.traffic import traffic
from tests.ops.oracle import bound, counted_op, meta, spec, work

SIZE = st.integers(1, 5)

ROWS = [
    # target, args, flops, pointwise
    ("linear.default", (meta(2, 3, 4), meta(5, 4)), 2 * 6 * 4 * 5, 0),
    ("linear.default", (meta(2, 3, 4), meta(5, 4), meta(5)), 2 * 6 * 4 * 5, 30),
    ("linear.default", (meta(4), meta(5, 4), meta(5)), 2 * 4 * 5, 5),
    ("mm.default", (meta(2, 3), meta(3, 4)), 2 * 2 * 3 * 4, 0),
    ("bmm.default", (meta(7, 2, 3), meta(7, 3, 4)), 7 * 2 * 2 * 3 * 4, 0),
    ("matmul.default", (meta(5, 1, 2, 3), meta(6, 3, 4)), 5 * 6 * 2 * 2 * 3 * 4, 0),
    ("matmul.default", (meta(3), meta(3)), 2 * 3, 0),
    ("matmul.default", (meta(5, 2, 3), meta(3)), 2 * 5 * 2 * 3, 0),
    ("mv.default", (meta(2, 3), meta(3)), 2 * 2 * 3, 0),
    ("dot.default", (meta(3), meta(3)), 2 * 3, 0),
    ("addmv.default", (meta(2), meta(2, 3), meta(3)), 2 * 2 * 3, 2),
    ("outer.default", (meta(2), meta(3)), 0, 6),
    ("inner.default", (meta(2, 3), meta(4, 3)), 2 * 2 * 4 * 3, 0),
    ("addbmm.default", (meta(2, 4), meta(7, 2, 3), meta(7, 3, 4)), 2 * 7 * 2 * 3 * 4, 8),
    ("tensordot.default", (meta(2, 3, 4), meta(4, 3, 5), [1, 2], [1, 0]), 2 * 2 * 5 * 12, 0),
]


@pytest.mark.parametrize(("target", "args", "flops", "pointwise"), ROWS)
def test_closed_forms(target: str, args: tuple[object, ...], flops: int, pointwise: int) -> None:
    assert work(f"aten.{target}", *args) == (flops, pointwise)


@pytest.mark.parametrize(
    ("beta", "alpha", "pointwise"), [(1, 1, 8), (0, 1, 0), (0, 0.5, 8), (1, 0.5, 16), (2, 1, 16), (2, 0.5, 24)]
)
def test_addmm_counts_what_beta_and_alpha_do(beta: float, alpha: float, pointwise: int) -> None:
    given = (meta(2, 4), meta(2, 3), meta(3, 4))
    assert work("aten.addmm.default", *given, beta=beta, alpha=alpha) == (2 * 2 * 3 * 4, pointwise)


def test_baddbmm_with_beta_0_does_not_read_its_first_input() -> None:
    given = (meta(7, 2, 4), meta(7, 2, 3), meta(7, 3, 4))
    assert traffic(*bound("aten.baddbmm.default", *given, beta=0)) == (4 * 7 * (6 + 12), 4 * 7 * 8)
    assert traffic(*bound("aten.baddbmm.default", *given)) == (4 * 7 * (6 + 12 + 8), 4 * 7 * 8)


@given(batch=st.lists(SIZE, max_size=2), rows=SIZE, inner=SIZE, columns=SIZE, ones=st.lists(st.booleans(), max_size=2))
@settings(max_examples=60, deadline=None)
def test_matmul_is_torchs_count(batch: list[int], rows: int, inner: int, columns: int, ones: list[bool]) -> None:
    other = [1 if one else size for one, size in zip(ones, batch, strict=False)]
    given = (meta(*batch, rows, inner), meta(*other, inner, columns))
    if len(other) < len(batch):
        given = (given[0], meta(inner, columns))
    assert work("aten.matmul.default", *given).flops == counted_op("aten.matmul.default", *given)


@given(batch=st.lists(SIZE, max_size=3), inner=SIZE, columns=SIZE, bias=st.booleans())
@settings(max_examples=40, deadline=None)
def test_linear_is_torchs_count(batch: list[int], inner: int, columns: int, bias: bool) -> None:
    given = (meta(*batch, inner), meta(columns, inner), meta(columns) if bias else None)
    expected = counted_op("aten.linear.default", *given)
    assert work("aten.linear.default", *given).flops == (expected or 2 * inner * columns)


def test_what_torch_counts_0_is_counted() -> None:
    """Documented differences: mv, dot and addmv are products too; a one-row linear runs as one."""
    for target, args in (
        ("mv", (meta(2, 3), meta(3))),
        ("dot", (meta(3), meta(3))),
        ("addmv", (meta(2), meta(2, 3), meta(3))),
        ("matmul", (meta(2, 3), meta(3))),
    ):
        assert counted_op(f"aten.{target}.default", *args) == 0
        assert work(f"aten.{target}.default", *args).flops > 0


def test_scaled_mm_counts_scales_and_bias() -> None:
    rule = TABLE["aten._scaled_mm.default"]
    left, right, one = spec(16, 32, dtype="float8_e4m3fn"), spec(32, 48, dtype="float8_e4m3fn"), spec(1)
    out = spec(16, 48, dtype="bfloat16")
    assert rule.body(left, right, one, one, out=out) == (2 * 16 * 32 * 48, 2 * 16 * 48)
    assert rule.body(left, right, one, one, spec(48), out=out) == (2 * 16 * 32 * 48, 3 * 16 * 48)


def test_grouped_mm_counts_every_row_once() -> None:
    body = TABLE["aten._grouped_mm.default"].body
    ends = spec(3, dtype="int32")
    assert body(spec(10, 8), spec(3, 8, 6), ends, out=spec(10, 6)).flops == 2 * 10 * 8 * 6
    assert body(spec(4, 30), spec(30, 6), ends, out=spec(3, 4, 6)).flops == 2 * 4 * 30 * 6
    fallback = TABLE["transformers.grouped_mm_fallback.default"].body
    assert fallback(spec(10, 8), spec(3, 8, 6), ends, out=spec(10, 6)).flops == 2 * 10 * 8 * 6
