"""Closed forms on a device of 1,000 float32 FLOP/s, 10,000 float16 FLOP/s and 100 bytes/s."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.roofline import estimate_stage, fits, largest_batch, node_seconds, node_times, with_estimate
from tests.report.sample import DEVICE, NODES, TRAFFIC, UNET, node


def test_one_call_is_the_longer_of_arithmetic_and_traffic() -> None:
    memory = node_seconds(1_000, 0, 300, "float16", DEVICE)
    assert (memory.compute, memory.memory, memory.seconds, memory.bound) == (0.1, 3.0, 3.0, "memory")
    compute = node_seconds(40_000, 0, 300, "float16", DEVICE)
    assert (compute.seconds, compute.bound) == (4.0, "compute")
    assert node_seconds(0, 0, 0, "float16", DEVICE).seconds == 0.0


def test_pointwise_arithmetic_runs_at_the_float32_peak() -> None:
    assert node_seconds(10_000, 500, 0, "float16", DEVICE).compute == 1.0 + 0.5


def test_a_dtype_without_a_peak_runs_at_float32_and_is_noted() -> None:
    assert node_seconds(1_000, 0, 0, "bfloat16", DEVICE).compute == 1.0
    stage = replace(UNET, nodes=(node("a", "op", "matmul", dtype="bfloat16"),), dtype="bfloat16")
    _, notes = estimate_stage(stage, {}, DEVICE)
    assert "toy has no published peak for bfloat16: its products are timed at the float32 peak" in notes
    _, notes = estimate_stage(replace(UNET, nodes=NODES[:1]), {}, DEVICE)
    assert notes == ()


def test_a_call_runs_at_the_rate_of_its_own_dtype() -> None:
    rows = (
        node("half", "op", "matmul", dtype="float16", bytes_read=0, bytes_written=0),
        node("single", "op", "matmul", dtype="float32", bytes_read=0, bytes_written=0),
        node("index", "op", "matmul", dtype="int64", bytes_read=0, bytes_written=0),
    )
    times = node_times(rows, {}, DEVICE, "float16", fused=True)
    assert [times[row.name].seconds for row in rows] == [0.1, 1.0, 0.1]


def test_float32_convolutions_use_tf32_where_there_is_one() -> None:
    device = replace(DEVICE, peak_flops={**DEVICE.peak_flops, "tf32": 4_000.0})
    rows = tuple(
        node(kind, "op", kind, dtype="float32", bytes_read=0, bytes_written=0) for kind in ("convolution", "linear")
    )
    stage = replace(UNET, nodes=rows, dtype="float32")
    times = node_times(rows, {}, device, "float32", fused=True)
    assert [times[row.name].seconds for row in rows] == [0.25, 1.0]
    assert any("TF32" in note for note in estimate_stage(stage, {}, device)[1])
    assert not any("TF32" in note for note in estimate_stage(stage, {}, DEVICE)[1])


def test_the_calls_of_a_fused_attention_are_one_call_on_its_anchor() -> None:
    times = node_times(NODES, TRAFFIC, DEVICE, "float16", fused=True)
    assert list(times) == [row.name for row in NODES]
    assert times["scores"].seconds == times["mix"].seconds == 0.0
    assert (times["softmax"].compute, times["softmax"].memory) == (0.2, 5.0)


def test_materialised_attention_is_call_by_call_or_the_op_with_its_scores() -> None:
    times = node_times(NODES, TRAFFIC, DEVICE, "float16", fused=False)
    assert [times[name].seconds for name in ("scores", "softmax", "mix")] == [42.0, 3.0, 41.0]
    fused_op = (node("softmax", "sdpa", "attention", attention="softmax"),)
    assert node_times(fused_op, TRAFFIC, DEVICE, "float16", fused=False)["softmax"].memory == 90.0
    assert node_times(fused_op, TRAFFIC, DEVICE, "float16", fused=True)["softmax"].memory == 5.0


def test_estimate_of_a_stage() -> None:
    estimate, notes = estimate_stage(UNET, TRAFFIC, DEVICE)
    assert estimate.seconds == 4.0 + 3.0 + 5.0 + 3.0  # conv, norm, attention, mystery
    assert estimate.bound == "memory"
    assert estimate.seconds_materialized == 4.0 + 3.0 + 42.0 + 3.0 + 41.0 + 3.0
    assert estimate.seconds_total == 100 * estimate.seconds
    assert estimate.intensity == 42_000 / 1_400
    assert estimate.ridge == 100.0
    assert notes == ("1 calls without a rule are timed by their bytes alone",)


def test_steps_of_different_cost_scale_each_side_by_its_own_total() -> None:
    stage = replace(UNET, flops_total=2 * UNET.flops_total, nodes=NODES[:2])
    estimate, notes = estimate_stage(stage, {}, DEVICE)
    assert estimate.seconds_total == 4.0 * 200 + 3.0 * 100
    assert any("not call by call" in note for note in notes)


def test_with_estimate_puts_seconds_on_every_row_and_group() -> None:
    stage = with_estimate(UNET, TRAFFIC, DEVICE)
    assert stage.estimate is not None
    assert sum(row.seconds or 0.0 for row in stage.nodes) == stage.estimate.seconds
    assert stage.by("category")["convolution"].seconds == 4.0
    assert UNET.by("category")["convolution"].seconds is None


def test_an_empty_stage_takes_no_time() -> None:
    empty = replace(UNET, nodes=(), flops_per_step=0, flops_total=0, bytes_per_step=UNET.bytes_per_step)
    assert estimate_stage(empty, {}, DEVICE)[0].seconds_total == 0.0


def test_fits_counts_to_the_byte() -> None:
    assert fits(900_000, 99_999, 1, DEVICE)
    assert not fits(900_000, 100_000, 1, DEVICE)


@settings(deadline=None)
@given(fixed=st.integers(0, 10**6), each=st.integers(1, 10**5), limit=st.integers(0, 10**7))
def test_largest_batch_is_the_last_that_fits(fixed: int, each: int, limit: int) -> None:
    found = largest_batch(lambda batch: fixed + each * batch, limit)
    exact = min((limit - fixed) // each, 2**20)
    assert found == (exact if exact >= 1 else None)


@settings(deadline=None)
@given(steps=st.lists(st.integers(0, 50), min_size=1, max_size=60), limit=st.integers(0, 2000))
def test_largest_batch_on_any_rising_function(steps: list[int], limit: int) -> None:
    most = len(steps)
    sizes = [sum(steps[: n + 1]) for n in range(most)]
    found = largest_batch(lambda batch: sizes[batch - 1], limit, most=most)
    fitting = [n + 1 for n in range(most) if sizes[n] <= limit]
    assert found == (max(fitting) if fitting else None)


@pytest.mark.parametrize("most", [1, 2, 3, 64, 100])
def test_largest_batch_stops_at_the_most_asked_for(most: int) -> None:
    asked: list[int] = []

    def bytes_at(batch: int) -> int:
        asked.append(batch)
        return 0

    assert largest_batch(bytes_at, 1, most=most) == most
    assert max(asked) <= most
