"""Facts about full-size models that others have published or that were counted independently."""

from __future__ import annotations

from collections import Counter

import pytest

from graphlab.models import find_model
from graphlab.report.data import StageReport
from graphlab.stage_analysis import Options, analyze_stage, stage_report


def static_report(model: str, stage: str) -> StageReport:
    workload = find_model(model).workload()
    return stage_report(analyze_stage(workload, workload.stage(stage), Options(dynamic=False)), Options())


def test_composition_of_stable_diffusion_1_5() -> None:
    report = static_report("stable-diffusion-v1-5", "unet")
    ops = Counter(row.op for row in report.nodes)
    assert ops["aten.linear.default"] == 184
    assert ops["aten.conv2d.default"] == 98
    assert ops["aten.group_norm.default"] == 61
    assert ops["aten.layer_norm.default"] == 48
    assert ops["aten.scaled_dot_product_attention.default"] == 32
    flops = {name: group.flops for name, group in report.categories.items() if group.flops}
    # linear: 179,152,486,400 with a bias and 54,122,577,920 without
    assert flops == {
        "convolution": 443_946_106_880,
        "linear": 179_152_486_400 + 54_122_577_920,
        "attention": 126_052_270_080,
    }
    assert report.flops_per_step == 803_273_441_280
    assert report.parameters == 859_520_964
    lengths = [(row.kind, row.q_tokens, row.kv_tokens, row.heads, row.head_dim) for row in report.attention]
    expected = Counter()
    for tokens, width, times in ((4096, 40, 5), (1024, 80, 5), (256, 160, 5), (64, 160, 1)):
        expected[("self", tokens, tokens, 8, width)] = times
        expected[("cross", tokens, 77, 8, width)] = times
    assert Counter(lengths) == expected
    self_lengths = [row.q_tokens for row in report.attention if row.kind == "self"]
    assert self_lengths == [4096] * 2 + [1024] * 2 + [256] * 2 + [64] + [256] * 3 + [1024] * 3 + [4096] * 3


def test_similarity_matrices_of_stable_diffusion_1_5() -> None:
    """2 * sum of q * (q + 77) bytes a head in float16 over the pairs of calls: 183.07 MB at 512 pixels."""
    report = static_report("stable-diffusion-v1-5", "unet")
    per_head = sum(row.score_bytes for row in report.attention) // 8
    assert per_head == 2 * (5 * (4096 * 4173 + 1024 * 1101 + 256 * 333) + 64 * 141)


@pytest.mark.parametrize(
    ("model", "stage", "expected"),
    [
        (
            "modelscope-t2v",
            "unet",
            {("self", "spatial"): 16, ("cross", "spatial"): 16, ("self", "temporal"): 34},
        ),
        ("stable-diffusion-3-medium", "transformer", {("joint", "spatial"): 24}),
        ("flux-1-dev", "transformer", {("joint", "spatial"): 57}),
        ("stable-diffusion-xl", "unet", {("self", "spatial"): 70, ("cross", "spatial"): 70}),
    ],
)
def test_attentions_of_known_models(model: str, stage: str, expected: dict[tuple[str, str], int]) -> None:
    report = static_report(model, stage)
    assert Counter((row.kind, row.axis) for row in report.attention) == expected


# Tiny presets run the code of their full models; batch 1, static, so that every length may coincide.
TINY = [
    ("animatediff-tiny", "unet", {("self", "spatial"): 10, ("cross", "spatial"): 10, ("self", "temporal"): 26}),
    (
        "stable-video-diffusion-tiny",
        "unet",
        {("self", "spatial"): 10, ("cross", "spatial"): 10, ("self", "temporal"): 10, ("cross", "temporal"): 10},
    ),
    ("cogvideox-2b-tiny", "transformer", {("joint", "spatiotemporal"): 2}),
    ("wan-2-1-t2v-1.3b-tiny", "transformer", {("self", "spatiotemporal"): 2, ("cross", "spatiotemporal"): 2}),
    ("ltx-video-tiny", "transformer", {("self", "spatiotemporal"): 2, ("cross", "spatiotemporal"): 2}),
    ("hunyuan-video-tiny", "transformer", {("self", "sequence"): 1, ("joint", "spatiotemporal"): 3}),
    ("amused-256-tiny", "transformer", {("self", "spatial"): 2, ("cross", "spatial"): 6}),
    ("pixart-alpha-xl-2-512-tiny", "transformer", {("self", "spatial"): 2, ("cross", "spatial"): 2}),
    ("dit-xl-2-256-tiny", "transformer", {("self", "spatial"): 2}),
    ("llama-2-70b-tiny", "prefill", {("self", "sequence"): 2}),
    ("llama-2-70b-tiny", "decode", {("self", "sequence"): 2}),
    ("t5-xxl-encoder", "text_encoder", {("self", "sequence"): 24}),
]


@pytest.mark.parametrize(("model", "stage", "expected"), TINY, ids=[f"{m}-{s}" for m, s, _ in TINY])
def test_attentions_of_tiny_models(model: str, stage: str, expected: dict[tuple[str, str], int]) -> None:
    report = static_report(model, stage)
    assert Counter((row.kind, row.axis) for row in report.attention) == expected


@pytest.mark.parametrize(
    ("model", "stage", "causal"),
    [
        ("llama-2-7b-tiny", "prefill", True),
        ("stable-diffusion-v1-5-tiny", "text_encoder", True),
        ("stable-diffusion-v1-5-tiny", "unet", False),
        ("flux-1-dev-tiny", "text_encoder_2", False),
    ],
)
def test_causality_of_known_models(model: str, stage: str, causal: bool) -> None:
    assert {row.causal for row in static_report(model, stage).attention} == {causal}


def test_packed_tokens_are_a_sequence_unless_the_workload_binds_them() -> None:
    from dataclasses import replace

    workload = find_model("flux-1-dev-tiny").workload()
    stage = workload.stage("transformer")
    inputs = {n: replace(a, axes={}) if hasattr(a, "axes") else a for n, a in stage.inputs.items()}
    unbound = replace(stage, inputs=inputs)
    report = stage_report(analyze_stage(workload, unbound, Options(dynamic=False)), Options())
    assert {(row.kind, row.axis) for row in report.attention} == {("joint", "sequence")}
    assert {(row.kind, row.axis) for row in static_report("flux-1-dev-tiny", "transformer").attention} == {
        ("joint", "spatial")
    }
