"""The calibrated model on a machine whose every table has a rate of its own, so that times are known in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from graphlab.calibration.data import CALLS
from graphlab.errors import GraphlabError
from graphlab.hardware import Hardware
from graphlab.kernels.data import Attention, Contraction, Kernel, StageCall, Strided
from graphlab.prediction.calibrated import CalibratedModel, causal_keys
from graphlab.prediction.calibrated_names import blocked, call_name, row_and_rows
from graphlab.prediction.predict import predict
from tests.calibration.synthetic import calibration, device, rate

MODEL = CalibratedModel(device())
BASE = Kernel("aten.add.Tensor", "elementwise", "pointwise", "", "float32", 0, 0, 8000, 4000)


def kernel(op: str, family: str, **changes: Any) -> Kernel:
    return replace(BASE, op=f"aten.{op}", family=family, **changes)


def total(item: Kernel) -> float:
    found = MODEL.time(item, "eager")
    return found.seconds + found.host


def product(op: str, *sizes: int, **changes: Any) -> Kernel:
    return kernel(op, "contraction", contraction=Contraction(*sizes), **changes)


def attention(*sizes: Any, **changes: Any) -> Kernel:
    known = Attention(*sizes, causal=False, masked=False, kind="self", axis="tokens")
    return kernel("scaled_dot_product_attention.default", "attention", attention=known._replace(**changes))


TIMES = [
    ("add", BASE, "add", 12000),
    ("add-scalar", kernel("add.Tensor", "pointwise", bytes_read=4000), "add_scalar", 8000),
    ("gelu", kernel("gelu.default", "pointwise", pointwise_flops=5000, bytes_read=4000), "gelu", 8000),
    ("gelu-tanh", kernel("gelu.default", "pointwise", pointwise_flops=9000, bytes_read=4000), "gelu_tanh", 8000),
    ("in-place", kernel("silu_.default", "pointwise", bytes_read=4000), "silu", 8000),
    ("unknown", kernel("digamma.default", "pointwise"), "add", 12000),
    ("copy", kernel("contiguous.default", "movement", bytes_read=4000), "clone", 8000),
    ("lookup", kernel("index.Tensor", "lookup"), "embedding", 12000),
    ("linear", product("linear.default", 1, 64, 32, 32), "linear", 64 * 32 * 32),
    ("bmm", product("bmm.default", 4, 64, 32, 32), "matmul", 4 * 64 * 32 * 32),
    ("layer-norm", kernel("layer_norm.default", "normalization", pointwise_flops=7040), "layer_norm", 1000),
    ("softmax", kernel("softmax.int", "softmax", pointwise_flops=5000), "softmax", 768),
    ("mean", kernel("mean.dim", "reduction", bytes_read=64000, bytes_written=400), "mean", 16000),
    ("attention", attention(1, 8, 64, 128, 32), "attention", 8 * 64 * 128 * 32),
    ("one-query", attention(1, 8, 1, 128, 32, causal=True), "attention", 8 * 128 * 32),
]


@pytest.mark.parametrize(("item", "table", "work"), [case[1:] for case in TIMES], ids=[case[0] for case in TIMES])
def test_a_kernel_takes_its_work_at_the_rate_of_its_table(item: Kernel, table: str, work: int) -> None:
    assert total(item) == pytest.approx(work / rate(table), rel=1e-9)


def conv(m: int, n: int, c: int, window: int, positions: int, spatial: int = 2, groups: int = 1) -> Kernel:
    """A convolution over `positions` input positions and `m` output ones, c to n channels a group, with a bias."""
    read = 4 * (positions * c * groups + groups * n * (c * window + 1))
    known = Contraction(groups, m, n, c * window, window, spatial)
    return kernel("conv2d.default", "contraction", contraction=known, bytes_read=read, bytes_written=4 * m * n * groups)


CONVOLUTIONS = [
    ("1x1", conv(256, 64, 64, 1, 256), "conv_1x1", 256 * 64 * 64),
    ("3x3", conv(256, 64, 64, 9, 256), "conv_3x3", 256 * 64 * 64 * 9),
    ("3x3-filled-up", conv(256, 60, 60, 9, 256), "conv_3x3", 256 * 64 * 64 * 9),
    ("3x3-few-channels", conv(256, 64, 4, 9, 256), "conv_3x3", 256 * 64 * 4 * 9),
    ("3x3-seven-blocks", conv(256, 112, 64, 9, 256), "conv_3x3_uneven", 256 * 112 * 64 * 9),
    ("3x3-stride-2", conv(64, 64, 64, 9, 256), "conv_3x3_stride2", 64 * 64 * 64 * 9),
    ("patches", conv(64, 64, 16, 4, 256), "conv_patch", 64 * 64 * 16 * 4),
    ("3x1x1", conv(256, 64, 64, 3, 256, spatial=3), "conv_3x1x1", 256 * 64 * 64 * 3),
    ("3x3x3", conv(256, 64, 64, 27, 256, spatial=3), "conv_3x3x3", 256 * 64 * 64 * 27),
    ("depthwise", conv(256, 1, 1, 9, 256, groups=64), "conv_depthwise", 256 * 64 * 9),
    ("two-groups", conv(256, 64, 64, 9, 256, groups=2), "conv_3x3", 2 * 256 * 64 * 64 * 9),
]


@pytest.mark.parametrize(
    ("item", "table", "work"), [case[1:] for case in CONVOLUTIONS], ids=[c[0] for c in CONVOLUTIONS]
)
def test_a_convolution_takes_its_work_at_the_rate_of_its_window(item: Kernel, table: str, work: int) -> None:
    assert total(item) == pytest.approx(work / rate(table), rel=1e-9)


def test_keys_that_fill_no_vector_cost_extra() -> None:
    expected = 8 * 64 * 77 * 32 / rate("attention") + 8 * 64 * (77 % 16) * 1e-6
    assert total(attention(1, 8, 64, 77, 32)) == pytest.approx(expected, rel=1e-9)


def test_large_results_pay_for_fresh_memory() -> None:
    large = replace(BASE, bytes_read=2 << 20, bytes_written=1 << 20)
    assert total(large) == pytest.approx((3 << 20) / rate("add") + (1 << 20) * 1e-7, rel=1e-9)
    assert total(replace(large, bytes_written=(1 << 20) - 1)) == pytest.approx(((3 << 20) - 1) / rate("add"), rel=1e-6)


def test_strided_reads_cost_what_copying_them_costs_more() -> None:
    strided = Strided(4000, 4, 0, 3072)
    copying = 4 * 8000 / rate("strided_copy") - 8000 / rate("clone")
    assert copying > 0
    moved = kernel("mul.Tensor", "pointwise", strided=strided)
    assert total(moved) == pytest.approx(12000 / rate("mul") + copying, rel=1e-9)


def test_strided_reads_are_never_faster() -> None:
    found = calibration(lambda table, sizes: 1e-9 if table == "strided_copy" else 1e-5 * sum(sizes))
    model = CalibratedModel(replace(device(), calibration=found))
    moved = replace(BASE, strided=Strided(4000, 4, 0, 3072))
    assert model.time(moved, "eager") == model.time(BASE, "eager")


def test_nothing_takes_less_than_the_smallest_call() -> None:
    tiny = replace(BASE, bytes_read=1, bytes_written=1)
    slow = replace(calibration(), calls=dict.fromkeys(CALLS, 1.0))
    found = CalibratedModel(replace(device(), calibration=slow)).time(tiny, "eager")
    assert found.seconds + found.host == 1.0
    assert found.bound == "launch"


def test_a_view_costs_its_call_and_no_device_time() -> None:
    found = MODEL.time(kernel("permute.default", "none"), "eager")
    assert found.seconds == 0
    assert found.host == calibration().calls["permute"]
    unknown = MODEL.time(kernel("swapaxes.default", "none"), "eager")
    assert unknown.host == calibration().calls["view"]


def test_bounds() -> None:
    assert MODEL.time(product("linear.default", 1, 64, 64, 64), "eager").bound == "compute"
    assert MODEL.time(BASE, "eager").bound == "memory"


def test_compiled_is_refused() -> None:
    with pytest.raises(GraphlabError, match="cannot time compiled"):
        MODEL.time(BASE, "compiled")


def test_products_in_another_dtype_are_refused_and_the_rest_goes_by_bytes() -> None:
    with pytest.raises(GraphlabError, match="not calibrated for bfloat16"):
        MODEL.time(product("linear.default", 1, 64, 64, 64, dtype="bfloat16"), "eager")
    assert total(replace(BASE, dtype="float64")) == total(BASE)


def test_a_device_without_a_calibration_is_refused() -> None:
    with pytest.raises(GraphlabError, match="graphlab calibrate"):
        CalibratedModel(Hardware("h", "h", "cpu", 1, 1.0, {"float32": 1.0}))


def call_of(*kernels: Kernel) -> StageCall:
    order = tuple(range(len(kernels)))
    none = {"materialized": 0, "fused": 0}
    return StageCall(
        "model", {}, "float32", 0, 0, 0, 0, 0, none, none, kernels, dict.fromkeys(("materialized", "fused"), order)
        | {"compiled": ()}, (), (), 0,
    )  # fmt: skip


def test_a_call_is_the_sum_of_its_kernels() -> None:
    kernels = (BASE, kernel("view.default", "none"), product("linear.default", 1, 64, 64, 64))
    found = predict(call_of(*kernels), MODEL)
    assert found.seconds == pytest.approx(sum(map(total, kernels)), rel=1e-12)
    assert not MODEL.asynchronous


def test_notes_name_the_machine_and_the_operators_without_a_curve() -> None:
    notes = MODEL.notes(call_of(BASE, kernel("digamma.default", "pointwise")))
    assert "a machine of the mind" in notes[0]
    assert "50.0%" in notes[1]
    assert "aten.digamma.default" in notes[1]
    assert len(MODEL.notes(call_of(BASE))) == 1


@pytest.mark.parametrize(
    ("q", "kv", "expected"),
    [(256, 256, 256.0), (512, 512, 512.0), (1024, 1024, 768.0), (1, 1, 1.0), (600, 600, (512 * 512 + 88 * 600) / 600)],
    ids=["short", "one-block", "two-blocks", "one", "uneven"],
)
def test_causal_keys_come_in_whole_blocks(q: int, kv: int, expected: float) -> None:
    assert causal_keys(q, kv) == pytest.approx(expected)


def test_rows_are_read_off_the_flops() -> None:
    elements, rows = 1 << 16, 256
    for op, each, a_row in (("layer_norm", 5, 4), ("group_norm", 6, 4), ("layer_norm", 7, 4), ("rms_norm", 4, 3)):
        item = kernel(
            f"{op}.default", "normalization", pointwise_flops=each * elements + a_row * rows, bytes_written=4 * elements
        )
        assert row_and_rows(item) == (elements // rows, rows), (op, each)


@pytest.mark.parametrize(
    ("n", "c", "window", "expected"),
    [(60, 60, 9, (64, 576)), (64, 64, 9, (64, 576)), (3, 60, 9, (3, 540)), (60, 4, 9, (60, 36)), (60, 60, 1, (60, 60))],
)
def test_channels_are_filled_up_to_blocks(n: int, c: int, window: int, expected: tuple[int, int]) -> None:
    assert blocked(Contraction(1, 64, n, c * window, window, 2)) == expected


def test_names_of_calls() -> None:
    names = ("aten.view.default", "aten.split_with_sizes.default", "getitem", "aten.detach_.default", "aten.to.dtype")
    assert [call_name(name) for name in names] == ["view", "split", "getitem", "detach", "to"]
