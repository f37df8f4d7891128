"""Products in tiles and waves, and fused attention in blocks: closed forms, and what must never get cheaper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.kernels.data import Attention, Contraction
from graphlab.prediction.flash import FlashEngine, attention_seconds
from graphlab.prediction.tiles import Engine, contraction_seconds, utilization

ENGINE = Engine(multiprocessors=100, flops=1e12, feed=1e15, ramp=0.0)


def test_one_full_wave_of_the_largest_tiles_runs_at_the_peak() -> None:
    shape = Contraction(1, 256 * 10, 128 * 10, 1024)
    assert utilization(shape, 2, ENGINE) == pytest.approx(1.0)
    assert contraction_seconds(shape, 2, ENGINE) == pytest.approx(2 * 2560 * 1280 * 1024 / 1e14)


def test_one_tile_more_than_a_wave_costs_a_second_wave_of_smaller_tiles_at_most() -> None:
    full = contraction_seconds(Contraction(1, 2560, 1280, 1024), 2, ENGINE)
    more = contraction_seconds(Contraction(1, 2561, 1280, 1024), 2, ENGINE)
    assert full < more <= 2 * full


def test_an_edge_costs_a_whole_tile() -> None:
    one = Engine(1, 1e12, 1e15, 0.0)
    assert contraction_seconds(Contraction(1, 1, 64, 64), 2, one) == contraction_seconds(
        Contraction(1, 32, 64, 64), 2, one
    )


def test_a_slow_cache_bounds_small_tiles() -> None:
    starved = Engine(1, 1e12, 1e9, 0.0)
    seconds = contraction_seconds(Contraction(1, 256, 128, 1024), 2, starved)
    assert seconds == pytest.approx((256 + 128) * 1024 * 2 / 1e9)


sizes = st.integers(1, 3000)


@given(st.integers(1, 16), sizes, sizes, sizes)
def test_no_product_runs_above_the_peak_and_more_work_is_never_quicker(batch: int, m: int, n: int, k: int) -> None:
    engine = Engine(108, 2e12, 6e10, 1e-6)
    shape = Contraction(batch, m, n, k)
    seconds = contraction_seconds(shape, 2, engine)
    assert 0 < utilization(shape, 2, engine) <= 1
    assert contraction_seconds(shape._replace(m=2 * m), 2, engine) >= seconds * 0.999
    assert contraction_seconds(shape._replace(batch=batch + 1), 2, engine) >= seconds * 0.999


def attention(**sizes: int | bool) -> Attention:
    found = {"batch": 1, "heads": 100, "q": 128, "kv": 1024, "width": 64, "causal": False, "masked": False}
    return Attention(**{**found, **sizes}, kind="self", axis="spatial")  # type: ignore[arg-type]  # sizes by name


FLASH = FlashEngine(multiprocessors=100, flops=1e12, exponentials=1e30, vector=1e30, block_seconds=0.0)


def test_one_wave_of_full_blocks_runs_at_the_peak() -> None:
    assert attention_seconds(attention(), 0, FLASH) == pytest.approx(4 * 100 * 128 * 1024 * 64 / 1e14)


def test_short_sequences_pay_for_whole_blocks() -> None:
    """Sixteen frames cost what 64 keys and 128 query rows do: temporal attention's few FLOPs are slow ones."""
    short = attention(heads=10000, q=16, kv=16)
    padded = attention(heads=10000, q=128, kv=64)
    assert attention_seconds(short, 0, FLASH) == attention_seconds(padded, 0, FLASH)


def test_exponentials_and_vector_work_add_up() -> None:
    slow = FLASH._replace(exponentials=1e9, vector=1e9)
    extra = 128 * 1024 * (1 + 5) / 1e9
    assert attention_seconds(attention(), 5, slow) == pytest.approx(attention_seconds(attention(), 5, FLASH) + extra)


def test_a_causal_mask_saves_about_half_of_a_square() -> None:
    square = attention(q=8192, kv=8192)
    ratio = attention_seconds(square._replace(causal=True), 0, FLASH) / attention_seconds(square, 0, FLASH)
    assert 0.5 <= ratio < 0.51


def test_one_query_row_splits_its_keys_over_idle_multiprocessors() -> None:
    one = attention(heads=10, q=1, kv=4096)
    assert attention_seconds(one, 0, FLASH) == pytest.approx(64 * 64 * 4 * 128 * 64 / 1e12 / 10)


def test_a_block_has_a_least_time_however_few_its_keys() -> None:
    waiting = FLASH._replace(block_seconds=1.0)
    short, long = attention(heads=1000, q=16, kv=16), attention(heads=100, kv=1 << 30)
    assert attention_seconds(short, 0, waiting) == 10.0
    assert attention_seconds(long, 0, waiting) == attention_seconds(long, 0, FLASH) > 1.0
