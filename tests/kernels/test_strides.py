"""Runs and reuse distances against the addresses themselves, and what a cache fetches against a simulated one."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.graph import TensorSpec
from graphlab.kernels.data import Strided
from graphlab.kernels.strides import strided_reads
from graphlab.prediction.locality import fetched_bytes, hit_rate


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def permuted(shape: tuple[int, ...], order: tuple[int, ...]) -> TensorSpec:
    """A contiguous tensor of `shape` seen with its axes in `order`."""
    stride = contiguous(shape)
    return TensorSpec(tuple(shape[i] for i in order), tuple(stride[i] for i in order), "float32")


def addresses(spec: TensorSpec) -> list[int]:
    """Element offsets of `spec` in logical order."""
    return [
        sum(i * s for i, s in zip(index, spec.stride, strict=True))
        for index in itertools.product(*map(range, spec.shape))
    ]


def runs(found: list[int]) -> list[tuple[int, int]]:
    """(first offset, length) of the contiguous runs of `found`."""
    made: list[tuple[int, int]] = []
    for offset in found:
        if made and offset == made[-1][0] + made[-1][1]:
            made[-1] = (made[-1][0], made[-1][1] + 1)
        else:
            made.append((offset, 1))
    return made


shapes = st.lists(st.integers(2, 5), min_size=2, max_size=4).map(tuple)


@given(shapes, st.randoms(use_true_random=False))
def test_runs_and_reuse_are_those_of_the_addresses(shape: tuple[int, ...], random: object) -> None:
    order = list(range(len(shape)))
    random.shuffle(order)  # type: ignore[attr-defined]  # a random.Random
    spec = permuted(shape, tuple(order))
    found = strided_reads([spec], TensorSpec(spec.shape, contiguous(spec.shape), "float32"))
    made = runs(addresses(spec))
    if len(made) == 1:
        assert found is None
        return
    assert found is not None
    assert found.nbytes == math.prod(shape) * 4
    # Two runs may touch by chance (the end of one row, the start of another axis): most have the length.
    assert min(length for _, length in made) * 4 == found.run
    starts = {start: place for place, (start, _) in enumerate(made)}
    following = starts.get(made[0][0] + made[0][1])
    assert found.reuse == (following or 0)


def test_front_to_back_is_not_strided() -> None:
    plain = TensorSpec((4, 5), (5, 1), "float32")
    assert strided_reads([plain], plain) is None
    assert strided_reads([TensorSpec((1, 5), (99, 1), "float32")], None) is None
    assert strided_reads([TensorSpec((4, 5), (0, 1), "float32")], plain) is None  # one row, read again and again


def test_a_copy_in_the_order_of_its_output_is_front_to_back() -> None:
    channels_last = TensorSpec((2, 3, 4, 5), (60, 1, 15, 3), "float32")
    assert strided_reads([channels_last], channels_last) is None
    assert strided_reads([channels_last], TensorSpec((2, 3, 4, 5), (60, 20, 5, 1), "float32")) is not None


def simulated(found: list[int], itemsize: int, unit: int, capacity: int) -> int:
    """Bytes a fully associative cache of least recent use fetches for the reads `found`."""
    cache: OrderedDict[int, None] = OrderedDict()
    fetched = 0
    for offset in found:
        line = offset * itemsize // unit
        if line in cache:
            cache.move_to_end(line)
            continue
        fetched += unit
        cache[line] = None
        if len(cache) > capacity // unit:
            cache.popitem(last=False)
    return fetched


@pytest.mark.parametrize(
    ("rows", "columns", "capacity"), [(64, 32, 64 * 32), (64, 32, 63 * 32), (64, 32, 1024), (128, 64, 8192)]
)
def test_a_transposing_copy_fetches_what_a_simulated_cache_does(rows: int, columns: int, capacity: int) -> None:
    spec = permuted((rows, columns), (1, 0))
    reads = strided_reads([spec], TensorSpec(spec.shape, contiguous(spec.shape), "float32"))
    assert reads is not None
    assert (reads.nbytes, reads.run, reads.reuse) == (rows * columns * 4, 4, rows)  # down a column first
    assert fetched_bytes(reads, 32, capacity) == simulated(addresses(spec), 4, 32, capacity)


def test_hit_rates_are_those_of_a_simulated_cache() -> None:
    assert hit_rate(None, 32, 1024, 4) == 7 / 8
    reads = Strided(4096, 4, 64)
    assert hit_rate(reads, 32, 64 * 32, 4) == 7 / 8
    assert hit_rate(reads, 32, 32 * 32, 4) == 0.0
