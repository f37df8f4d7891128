"""The clock of a call: launches that run ahead, devices that wait, and sums that add up."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

import graphlab
from graphlab.errors import UnknownNameError
from graphlab.generation.runs import StageSource
from graphlab.hardware import device_names, load_device
from graphlab.kernels.data import Contraction, Kernel, StageCall
from graphlab.prediction.constants import constants_table, gpu_constants
from graphlab.prediction.data import RUNTIMES, KernelTime, category
from graphlab.prediction.gpu import GpuModel
from graphlab.prediction.ideal import IdealModel
from graphlab.prediction.model import model_for
from graphlab.prediction.predict import predict


def call(**kernels: int) -> StageCall:
    """A call that runs each named kernel as often as said, in order."""
    made = tuple(
        Kernel(name, "elementwise", "none" if name == "view" else "pointwise", "other", "float32", 0, 1, 4, 4)
        for name in kernels
    )
    order = tuple(index for index, count in enumerate(kernels.values()) for _ in range(count))
    orders = dict.fromkeys(("materialized", "fused", "compiled"), order)
    empty: dict[str, int] = {"materialized": 0, "fused": 0}
    return StageCall("s", {}, "float32", 0, 0, 0, 0, 0, empty, empty, made, orders, (), (), 0)


class Fixed:
    """Every kernel takes `device` seconds and `host` to launch."""

    between_calls = 0.0
    runtimes = RUNTIMES

    def __init__(self, device: float, host: float, *, asynchronous: bool) -> None:
        self.device, self.host, self.asynchronous = device, host, asynchronous

    def time(self, kernel: Kernel, runtime: str) -> KernelTime:
        return KernelTime(0.0 if kernel.family == "none" else self.device, "memory", self.host)

    def notes(self, call: StageCall) -> list[str]:
        return []


def test_a_slow_host_leaves_the_device_idle() -> None:
    found = predict(call(a=10), Fixed(1.0, 3.0, asynchronous=True))
    assert (found.seconds, found.busy, found.idle) == (31.0, 10.0, 21.0)


def test_a_slow_device_hides_the_launches() -> None:
    found = predict(call(a=10), Fixed(3.0, 1.0, asynchronous=True))
    assert (found.seconds, found.busy, found.idle) == (31.0, 30.0, 1.0)


def test_views_cost_the_host_alone() -> None:
    found = predict(call(a=1, view=5, b=1), Fixed(1.0, 2.0, asynchronous=True))
    assert (found.seconds, found.busy) == (15.0, 2.0)


def test_without_running_ahead_launches_add_up() -> None:
    found = predict(call(a=4), Fixed(2.0, 1.0, asynchronous=False))
    assert (found.seconds, found.busy, found.host) == (12.0, 8.0, 4.0)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_the_timeline_ends_when_the_call_does(asynchronous: bool) -> None:
    found = predict(call(a=3, view=2, b=2), Fixed(2.0, 1.5, asynchronous=asynchronous))
    slices = list(found.timeline(asynchronous=asynchronous))
    assert len(slices) == 5
    assert slices[-1].start + slices[-1].seconds == pytest.approx(found.seconds)
    for before, after in pairwise(slices):
        assert after.start >= before.start + before.seconds


def test_an_unknown_runtime_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="compiled"):
        predict(call(a=1), Fixed(1, 1, asynchronous=True), "compield")


@pytest.fixture(scope="module")
def unet() -> StageCall:
    workload = graphlab.load("stable-diffusion-v1-5-tiny")
    return StageSource(workload.stage("unet"), dynamic=False).at(workload.values())


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("device", device_names())
def test_groups_add_up_on_every_device(unet: StageCall, device: str, runtime: str) -> None:
    found = predict(unet, model_for(load_device(device)), runtime)
    assert found.seconds > 0
    assert sum(found.by(category).values()) == pytest.approx(found.seconds)
    assert sum(found.bounds().values()) == pytest.approx(found.seconds)


def test_no_kernel_beats_the_roofline(unet: StageCall) -> None:
    """The GPU model is never quicker than arithmetic at the published peak."""
    hardware = load_device("a100-80gb")
    gpu, ideal = GpuModel(hardware), IdealModel(hardware)
    for kernel in unet.run("fused"):
        if kernel.flops and kernel.category != "convolution":  # a float32 convolution runs in TF32
            assert gpu.time(kernel, "eager").seconds >= kernel.flops / hardware.peak_flops["float32"]
        assert ideal.time(kernel, "eager").seconds >= 0


def test_a_device_of_which_little_is_known_says_that_times_are_lower_bounds(unet: StageCall) -> None:
    found = predict(unet, model_for(load_device("epyc-9654")))
    assert "lower bound" in found.notes[0]
    assert found.host == 0


def test_every_constant_has_a_source() -> None:
    table = constants_table()
    for name in gpu_constants().__slots__:
        assert table[name]["source"]
        assert table[name]["help"]
    assert set(table) == set(gpu_constants().__slots__)


def test_heads_wider_than_the_fused_kernels_run_with_their_scores_in_memory(unet: StageCall) -> None:
    kernel = next(kernel for kernel in unet.run("fused") if kernel.attention is not None)
    shape = kernel.attention
    assert shape is not None
    wide = replace(kernel, attention=shape._replace(width=512))
    model = GpuModel(load_device("a100-80gb"))
    narrow, found = model.time(kernel, "eager"), model.time(wide, "eager")
    assert found.host == 3 * narrow.host
    assert found.seconds > narrow.seconds


def test_a_depthwise_convolution_is_no_product() -> None:
    """Every channel a product of its own would be thousands of tiles, each with a pipeline to fill."""
    channels, positions = 2240, 2 * 64 * 64
    moved = 2 * channels * positions
    kernel = Kernel(
        op="aten.conv2d.default",
        category="convolution",
        family="contraction",
        role="",
        dtype="float16",
        flops=2 * channels * positions * 9,
        pointwise_flops=0,
        bytes_read=moved + 2 * channels * 9,
        bytes_written=moved,
        contraction=Contraction(channels, positions, 1, 9, 9, 2, 2),
    )
    found = GpuModel(load_device("a100-80gb")).time(kernel, "eager")
    assert found.bound == "memory"
    dense = replace(kernel, contraction=Contraction(1, positions, channels, 9, 9, 2, 2))
    assert found.seconds <= GpuModel(load_device("a100-80gb")).time(dense, "eager").seconds


def group_norm(batch: int, groups: int, values: int) -> Kernel:
    """A group norm in float16 without weights, as the extraction makes it."""
    elements = batch * groups * values
    return Kernel(
        op="aten.group_norm.default",
        category="normalization",
        family="normalization",
        role="",
        dtype="float16",
        flops=0,
        pointwise_flops=5 * elements + 4 * batch * groups,
        bytes_read=2 * elements,
        bytes_written=2 * elements,
    )


def test_a_group_norm_of_one_image_waits_for_its_few_blocks() -> None:
    """32 blocks of 512 threads, each value after the one before it: the GPU's bandwidth is not what limits them."""
    model = GpuModel(load_device("h100-sxm"))
    values = 1 << 20
    decoder = model.time(group_norm(1, 32, values), "eager")
    moments = values // 512 * model.constants.moment_seconds
    scaling = 4 * 32 * values / (model.hardware.bandwidth * model.constants.bandwidth_share)
    assert decoder.seconds == pytest.approx(moments + scaling)
    assert model.time(group_norm(1, 32, values), "compiled").seconds < decoder.seconds / 3
    assert model.time(group_norm(4, 32, values), "eager").seconds == pytest.approx(moments + 4 * scaling)
    assert model.time(group_norm(17, 32, values), "eager").seconds == pytest.approx(2 * moments + 17 * scaling)
