"""A report small enough to check by hand, with hostile names, for the writers and the command line."""

from __future__ import annotations

from dataclasses import replace

from graphlab.facts import AttentionTraffic
from graphlab.hardware import Hardware
from graphlab.report.data import (
    AnalysisReport,
    AttentionRow,
    Bytes,
    Fit,
    InputRow,
    NodeRow,
    StageReport,
)
from graphlab.report.stage_data import LiveTensor, ModuleRow, Scaling, UnknownOp
from graphlab.roofline import with_estimate

DEVICE = Hardware(
    name="toy",
    title="Toy",
    kind="gpu",
    memory_bytes=1_000_000,
    bandwidth=100.0,
    peak_flops={"float32": 1_000.0, "float16": 10_000.0},
)

HOSTILE = "[red]block|0`*<b>\x1b[31m"


def node(name: str, op: str, category: str, role: str = "other", **changes: object) -> NodeRow:
    """A call with 1,000 FLOP and 300 bytes unless told otherwise."""
    row = NodeRow(
        name=name,
        op=op,
        category=category,
        role=role,
        module="blocks.0.attn",
        module_class="Attention",
        source="model.py:12",
        shape=(2, 3),
        dtype="float16",
        flops=1_000,
        pointwise_flops=0,
        bytes_read=200,
        bytes_written=100,
        live=Bytes(5_000, 3_000),
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # fields by name, each with its own type


NODES = (
    node("conv", "aten.conv2d.default", "convolution", "residual_block", flops=40_000, module=HOSTILE),
    node("norm", "aten.group_norm.default", "normalization", flops=0, pointwise_flops=50, module="norm"),
    node("scores", "aten.bmm.default", "matmul", "attention_core", attention="softmax", bytes_written=4_000),
    node("softmax", "aten.softmax.int", "activation", "attention_core", attention="softmax", flops=0),
    node("mix", "aten.bmm.default", "matmul", "attention_core", attention="softmax", bytes_read=4_000),
    node("mystery", "foo.bar.default", "other", flops=None, pointwise_flops=None, module=""),
)
TRAFFIC = {"softmax": AttentionTraffic(9_000, 500, 4_000)}


def attention(name: str, kind: str | None, **changes: object) -> AttentionRow:
    """An attention of 16 queries over 16 keys in 2 heads."""
    row = AttentionRow(name, kind, "spatial", False, False, 1, 2, 16, 16, 8, "height*width/64", "16", 2_000, 4_000, 500)
    return replace(row, **changes)  # type: ignore[arg-type]  # fields by name, each with its own type


UNET = StageReport(
    name="unet",
    steps=50,
    calls_per_step=2,
    batch=1,
    dtype="float16",
    parameters=1_234,
    weight_bytes={"float16": 2_468},
    flops_per_step=42_000,
    pointwise_flops_per_step=50,
    flops_total=4_200_000,
    pointwise_flops_total=5_000,
    bytes_per_step=Bytes(9_300, 1_400),
    bytes_total=Bytes(930_000, 140_000),
    peak_activation_bytes=Bytes(8_000, 4_000),
    peak_node="conv",
    cache_bytes=0,
    weights="unet",
    symbols={"height": 64, "width": 64},
    flops_expression="10*height*width + 1040",
    bytes_expression={"materialized": "height*width", "fused": "height"},
    scaling=(Scaling("height", 1, 0.975), Scaling("image_side", 2, 1.95)),
    inputs=(InputRow("sample", (2, 4, 8, 8), "float16", ("sample.b", "sample.d1"), (True, False)),),
    attention=(attention("softmax", "self"),),
    unknown=(UnknownOp("foo.bar.default", 1, 1 / 6),),
    estimate=None,
    notes=("captured statically: [blue]because",),
    nodes=NODES,
    edges=(("sample", "conv"), ("weight", "conv"), ("conv", "norm"), ("norm", "scores"), ("norm", "mystery")),
    modules=(
        ModuleRow("", "UNet", 0, 0),
        ModuleRow("blocks", "", 0, 0),
        ModuleRow("blocks.0", "Block", 34, 68),
        ModuleRow("blocks.0.attn", "Attention", 1_000, 2_000),
        ModuleRow(HOSTILE, "Conv2d", 200, 400),
        ModuleRow("norm", "GroupNorm", 0, 0),
    ),
    at_peak=(
        LiveTensor("conv", "call", (2, 3), "float16", 3_000),
        LiveTensor("sample", "input", (2, 4), "float16", 1_000),
    ),
)
DECODER = replace(
    UNET,
    name="decoder",
    steps=1,
    calls_per_step=1,
    attention=(),
    unknown=(),
    scaling=(),
    notes=(),
    flops_total=42_000,
    bytes_total=UNET.bytes_per_step,
    nodes=(NODES[0], replace(NODES[1], name="only_here")),
    edges=(("conv", "only_here"),),
)


def report(*, device: bool = True, stages: tuple[StageReport, ...] = (UNET, DECODER)) -> AnalysisReport:
    """The sample report, with estimates on DEVICE or without."""
    if device:
        stages = tuple(with_estimate(stage, TRAFFIC, DEVICE) for stage in stages)
    return AnalysisReport(
        source="toy",
        workload="toy [bold]model[/bold]",
        device=DEVICE.name if device else None,
        bindings={"height": 64, "width": 64, "guidance": 7.5},
        assumptions=("heads taken from the [x] config",),
        stages=stages,
        fit=Fit(1_000_000, 4_936, 4_000, 0, True, True, 17) if device else None,
    )
