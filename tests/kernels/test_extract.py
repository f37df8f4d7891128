"""A stage's call against the analysis it comes from: the same FLOPs and bytes, however it is run."""

from __future__ import annotations

import json
import math

import pytest

import graphlab
from graphlab.kernels.data import FAMILIES, StageCall
from graphlab.kernels.extract import stage_call
from graphlab.stage_analysis import Options, StageAnalysis, analyze_stage

STAGES = [
    ("stable-diffusion-v1-5-tiny", "unet"),
    ("stable-diffusion-v1-5-tiny", "vae_decoder"),
    ("llama-2-70b-tiny", "prefill"),
    ("llama-2-7b-tiny", "decode"),
    ("modelscope-t2v-tiny", "unet"),
    ("deepfloyd-if-tiny", "text_encoder"),
    ("flux-1-dev-tiny", "transformer"),
]


def analysed(model: str, stage: str) -> tuple[StageAnalysis, StageCall]:
    workload = graphlab.load(model)
    found = analyze_stage(workload, workload.stage(stage), Options(dynamic=False))
    call = stage_call(
        found.facts, name=stage, dtype="float32", values=found.values, cache_bytes=found.cache_bytes(), notes=()
    )
    return found, call


@pytest.mark.parametrize(("model", "stage"), STAGES)
def test_every_way_of_running_computes_the_same_and_moves_what_the_analysis_says(model: str, stage: str) -> None:
    found, call = analysed(model, stage)
    for variant in call.order:
        assert sum(kernel.flops for kernel in call.run(variant)) == call.flops
        assert sum(kernel.pointwise_flops for kernel in call.run(variant)) == call.pointwise_flops
    polynomials = found.polynomials
    for variant, total in (
        ("materialized", polynomials.bytes_materialized(found.values)),
        ("fused", polynomials.bytes_fused(found.values)),
    ):
        assert sum(kernel.bytes for kernel in call.run(variant)) == total == call.bytes[variant]
    assert sum(kernel.bytes for kernel in call.run("compiled")) <= call.bytes["fused"]
    assert StageCall.from_dict(json.loads(json.dumps(call.to_dict()))) == call


@pytest.mark.parametrize(("model", "stage"), STAGES)
def test_products_have_the_sizes_their_flops_say(model: str, stage: str) -> None:
    _, call = analysed(model, stage)
    products = [kernel for kernel in call.kernels if kernel.contraction is not None]
    assert products
    for kernel in products:
        shape = kernel.contraction
        assert shape is not None
        assert 2 * shape.batch * shape.m * shape.n * shape.k == kernel.flops, kernel
    assert {kernel.family for kernel in call.kernels} <= set(FAMILIES)


def test_attention_is_one_kernel_fused_and_three_in_memory() -> None:
    found, call = analysed("stable-diffusion-v1-5-tiny", "unet")
    fused = [kernel for kernel in call.run("fused") if kernel.family == "attention"]
    kept = [kernel for kernel in call.run("materialized") if kernel.category == "attention"]
    assert len(fused) == len(found.sites) == len(call.attention_order)
    assert [kernel.op for kernel in kept] == ["scores", "softmax", "values"] * len(fused)
    for kernel in fused:
        shape = kernel.attention
        assert shape is not None
        assert kernel.flops == 4 * shape.batch * shape.heads * shape.q * shape.kv * shape.width


def test_temporal_layout_changes_are_told_from_spatial_ones() -> None:
    _, call = analysed("modelscope-t2v-tiny", "unet")
    moved = {kernel.axis for kernel in call.run("fused") if kernel.category == "movement" and kernel.bytes}
    assert {"temporal", "spatial"} <= moved
    assert {shape.axis for shape in call.attentions} >= {"temporal", "spatial"}


def test_a_merged_call_writes_nothing_and_its_reader_reads_less() -> None:
    _, call = analysed("stable-diffusion-v1-5-tiny", "unet")
    merged = [kernel for kernel in call.run("compiled") if kernel.family == "merged"]
    assert merged
    assert all(kernel.bytes_written == 0 for kernel in merged)
    plain = sum(kernel.bytes for kernel in call.run("fused") if kernel.family == "contraction")
    kept = sum(kernel.bytes for kernel in call.run("compiled") if kernel.family == "contraction")
    assert kept == plain  # nothing is merged into a product


def test_sizes_of_a_grouped_convolution_are_those_of_one_group() -> None:
    import torch
    from torch import nn

    report = graphlab.capture(nn.Conv2d(8, 12, 3, padding=1, groups=4), (torch.zeros(2, 8, 6, 5),))
    from graphlab.pipeline import Facts

    facts = Facts(report.graph, dict(report.graph.symbols))
    call = stage_call(facts, name="conv", dtype="float32", values={}, cache_bytes=0, notes=())
    (shape,) = [kernel.contraction for kernel in call.kernels if kernel.contraction is not None]
    assert (shape.batch, shape.m, shape.n, shape.k, shape.window, shape.spatial) == (4, 2 * 6 * 5, 3, 2 * 9, 9, 2)
    assert math.prod(shape[:4]) * 2 == call.flops
