"""The clock of a call: launches that run ahead, devices that wait, and sums that add up."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

import graphlab
from graphlab.errors import UnknownNameError
from graphlab.generation.runs import StageSource
from graphlab.hardware import device_names, load_device
from graphlab.kernels.data import Attention, Contraction, GroupNorm, Kernel, StageCall
from graphlab.kernels.extract import stage_call
from graphlab.pipeline import Facts
from graphlab.prediction.constants import constants_table, gpu_constants
from graphlab.prediction.data import RUNTIMES, KernelTime, category
from graphlab.prediction.gpu import GpuModel
from graphlab.prediction.group_norm import moments_steps
from graphlab.prediction.ideal import IdealModel
from graphlab.prediction.model import model_for
from graphlab.prediction.predict import predict
from graphlab.program import Program
from graphlab.sources.extract import extract
from graphlab.sources.module import capture


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


class Normed(torch.nn.Module):
    """A group norm of 32 groups."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.GroupNorm(32, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (batch, channels, *space) to its norm."""
        normed: torch.Tensor = self.norm(x)
        return normed


def group_norm(batch: int, channels: int, values: int) -> Kernel:
    """A group norm in float16 of 32 groups of `values` an image, as the extraction makes it."""
    with torch.device("meta"):
        x = torch.empty(batch, channels, values * 32 // channels, dtype=torch.float16)
        program = capture(Normed(channels).half().eval(), (x,), dynamic=False)
    facts = Facts(program.graph, {})
    call = stage_call(facts, name="s", dtype="float16", values={}, cache_bytes=0, notes=())
    (kernel,) = (kernel for kernel in call.kernels if kernel.family == "normalization")
    return kernel


def test_a_group_norm_of_one_image_waits_for_its_few_blocks() -> None:
    """32 blocks of 512 threads, each value after the one before it: the GPU's bandwidth is not what limits them."""
    model = GpuModel(load_device("h100-sxm"))
    values = 1 << 20
    decoder, four, many = (group_norm(batch, 128, values) for batch in (1, 4, 17))
    moments = values // 512 * model.constants.moment_seconds
    scaling = decoder.bytes / (model.hardware.bandwidth * model.constants.bandwidth_share)
    assert decoder.group_norm == (32, values)
    assert model.time(decoder, "eager").seconds == pytest.approx(moments + scaling)
    assert model.time(decoder, "compiled").seconds < model.time(decoder, "eager").seconds / 3
    assert model.time(four, "eager").seconds == pytest.approx(moments + 4 * scaling, rel=1e-4)
    assert model.time(many, "eager").seconds == pytest.approx(2 * moments + 17 * scaling, rel=1e-4)


def test_small_groups_have_a_warp_each() -> None:
    h100, rtx = (load_device(name).execution for name in ("h100-sxm", "rtx-3060"))
    assert h100 is not None
    assert rtx is not None
    assert moments_steps(GroupNorm(65536 * 32, 8), h100) == math.ceil(65536 * 32 / (132 * 32))
    assert moments_steps(GroupNorm(32, 500), h100) == 16
    assert moments_steps(GroupNorm(132, 512), replace(h100, resident_threads=100)) == 1
    assert moments_steps(GroupNorm(512, 1 << 20), rtx) == math.ceil(512 / (rtx.multiprocessors * 3)) * 2048


@pytest.mark.parametrize("target", ["aten.group_norm.default", "aten.native_group_norm.default"])
def test_groups_are_read_off_the_call(target: str) -> None:
    """And not off its FLOPs, which small groups and the moments among the results would hide."""
    with torch.device("meta"):
        program = capture(Normed(128).eval(), (torch.empty(2, 128, 8, 8),), dynamic=False)
    if "native" in target:
        assert program.exported is not None
        program = Program("decomposed", extract(program.exported.run_decompositions()))
    call = stage_call(Facts(program.graph, {}), name="s", dtype="float32", values={}, cache_bytes=0, notes=())
    (kernel,) = (kernel for kernel in call.kernels if "group_norm" in kernel.op)
    assert (kernel.op, kernel.group_norm) == (target, (64, 4 * 64))


def test_the_least_time_of_a_block_of_attention_is_no_slower_in_the_first_generation() -> None:
    few = Kernel(
        op="aten.scaled_dot_product_attention.default",
        category="attention",
        family="attention",
        role="",
        dtype="float16",
        flops=1,
        pointwise_flops=0,
        bytes_read=1,
        bytes_written=1,
        attention=Attention(10_000, 8, 16, 16, 64, False, False, "self", "temporal"),
    )
    first, second = (GpuModel(load_device("h100-sxm"), flash=flash).time(few, "eager").seconds for flash in (1, 2))
    assert first == second == pytest.approx(math.ceil(80_000 / 132) * gpu_constants().attention_block_seconds)
