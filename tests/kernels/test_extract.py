"""A stage's call against the analysis it comes from: the same FLOPs and bytes, however it is run."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

import graphlab
from graphlab.kernels.data import FAMILIES, Contraction, StageCall
from graphlab.kernels.extract import stage_call
from graphlab.pipeline import Facts
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


def call_of(module: nn.Module, *inputs: torch.Tensor) -> StageCall:
    graph = graphlab.capture(module, inputs).graph
    facts = Facts(graph, dict(graph.symbols))
    return stage_call(facts, name="made", dtype="float32", values={}, cache_bytes=0, notes=())


def products(call: StageCall, variant: str = "fused") -> list[Contraction]:
    return [kernel.contraction for kernel in call.run(variant) if kernel.contraction is not None]


def test_sizes_of_a_grouped_convolution_are_those_of_one_group() -> None:
    call = call_of(nn.Conv2d(8, 12, 3, padding=1, groups=4), torch.zeros(2, 8, 6, 5))
    (shape,) = products(call)
    assert (shape.batch, shape.m, shape.n, shape.k, shape.window, shape.spatial) == (4, 2 * 6 * 5, 3, 2 * 9, 9, 2)
    assert math.prod(shape[:4]) * 2 == call.flops


def test_sizes_of_a_grouped_transposed_convolution_are_those_of_one_group() -> None:
    call = call_of(nn.ConvTranspose2d(8, 12, 4, 2, 1, groups=4), torch.zeros(2, 8, 6, 5))
    (shape,) = products(call)
    # Of 16 window positions an output of stride 2 meets 4.
    assert (shape.batch, shape.m, shape.n, shape.k, shape.window) == (4, 2 * 12 * 10, 3, 2 * 4, 16)
    assert math.prod(shape[:4]) * 2 == call.flops


class Einsums(nn.Module):
    """Attention whose heads stay behind the tokens: (b, q, h, d), (b, k, h, d), (b, k, h, v) -> (b, q, h, v)."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        scores = torch.einsum("bihd,bjhd->bhij", q, k).softmax(-1)
        return torch.einsum("bhij,bjhd->bihd", scores, v)


def test_an_einsum_is_a_product_by_its_letters() -> None:
    call = call_of(Einsums(), torch.zeros(2, 16, 4, 8), torch.zeros(2, 24, 4, 8), torch.zeros(2, 24, 4, 6))
    first, second = products(call, "materialized")
    assert first[:4] == (2 * 4, 16, 24, 8)
    assert second[:4] == (2 * 4, 16, 6, 24)


class Experts(nn.Module):
    """(experts, tokens, width) by a weight of each expert."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 8, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.bmm(x, self.weight)


def test_a_batch_of_weights_is_a_batch_of_products() -> None:
    (shape,) = products(call_of(Experts(), torch.zeros(4, 3, 8)))
    assert shape[:4] == (4, 3, 16, 8)


class Grouped(nn.Module):
    """Grouped queries, with a mask."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)


def test_products_of_an_attention_read_the_keys_and_values_that_there_are() -> None:
    q, k, v = torch.zeros(2, 8, 5, 16), torch.zeros(2, 2, 7, 16), torch.zeros(2, 2, 7, 12)
    call = call_of(Grouped(), q, k, v, torch.zeros(5, 7))
    scores, mask, softmax, values = call.run("materialized")
    matrix = 4 * 2 * 8 * 5 * 7
    assert scores.bytes_read == 4 * (q.numel() + k.numel())
    assert (mask.bytes_read, softmax.bytes_read) == (matrix + 4 * 5 * 7, matrix)
    assert values.bytes_read == matrix + 4 * v.numel()
    assert values.contraction is not None
    assert values.contraction[:4] == (16, 5, 12, 7)


class Slice(nn.Module):
    """Adds the first columns of a relu."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)[:, :2] + y


def test_a_reader_of_a_part_still_reads_its_other_operand() -> None:
    call = call_of(Slice(), torch.zeros(4, 32), torch.zeros(4, 2))
    relu, add = call.run("compiled")
    assert (relu.family, relu.bytes_read, relu.bytes_written) == ("merged", 4 * 4 * 32, 0)
    assert (add.bytes_read, add.bytes_written) == (4 * 4 * 2, 4 * 4 * 2)


class Causal(nn.Module):
    """Causal by a flag, or by a mask of the same meaning."""

    def __init__(self, *, flag: bool) -> None:
        super().__init__()
        self.flag = flag

    def forward(self, q: torch.Tensor) -> torch.Tensor:
        mask = None if self.flag else torch.ones(9, 9, dtype=torch.bool).tril()
        return nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask, is_causal=self.flag)


@pytest.mark.parametrize("flag", [True, False])
def test_scores_are_left_out_by_a_flag_and_never_by_a_mask(flag: bool) -> None:
    (shape,) = call_of(Causal(flag=flag), torch.zeros(2, 4, 9, 16)).attentions
    assert (shape.causal, shape.masked) == (flag, not flag)


def test_skip_connections_are_no_layout_changes_of_an_attention() -> None:
    found, call = analysed("stable-diffusion-v1-5-tiny", "unet")
    moved = [kernel for kernel in call.run("fused") if kernel.category == "movement" and kernel.bytes]
    assert {kernel.axis for kernel in moved if "cat" in kernel.op} == {""}
    # One copy out of the heads an attention, one out of the tokens a pair of attentions.
    assert sum(kernel.axis == "spatial" for kernel in moved) == len(found.sites) + len(found.sites) // 2


class Permuted(nn.Module):
    """An einsum that multiplies nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("abc->cab", x) + torch.einsum("abc,abc->cab", x, x)


def test_an_einsum_that_contracts_nothing_is_no_product() -> None:
    call = call_of(Permuted(), torch.zeros(3, 4, 5))
    assert not products(call)
    assert [kernel.family for kernel in call.run("fused") if "einsum" in kernel.op][-1] == "pointwise"
    assert not any(kernel.family == "contraction" for kernel in call.kernels)
