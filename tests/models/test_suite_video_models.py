"""Parti, Make-A-Video and Phenaki: decoding with and without a cache, windows, kinds of attention, sizes."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from graphlab.architectures.parti import PartiDecode, PartiDecodeWithoutCache, PartiPrefill
from graphlab.components.base import Config
from graphlab.components.prior_transformer import DEFAULTS as PRIOR_DEFAULTS
from graphlab.errors import BindingError
from graphlab.models import find_model
from graphlab.models.parti import PARTI_3B, PARTI_20B, PARTI_350M, PARTI_750M, TINY
from graphlab.report.data import StageReport
from graphlab.sources.arguments import example_arguments
from graphlab.stage_analysis import Options, analyze_stage, stage_report
from graphlab.workload import Workload
from tests.oracle import stage_oracle

TINY_MODELS = ("parti-20b-tiny", "make-a-video-tiny", "phenaki-tiny")


def workload(name: str, **bindings: int | float) -> Workload:
    return find_model(name).workload().bind(bindings)


@cache
def static_report(name: str, stage: str) -> StageReport:
    made = workload(name)
    return stage_report(analyze_stage(made, made.stage(stage), Options(dynamic=False)), Options())


def randomized(module: torch.nn.Module) -> Any:
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3)
    return module.eval().requires_grad_(False)


# Parti

LAYERS, WIDTH, HIDDEN, CODES = (int(TINY[key]) for key in ("decoder_layers", "d_model", "d_hidden", "codes"))


def parti_decoders() -> tuple[Any, Any, Any]:
    prefill, decode, whole = (kind(TINY) for kind in (PartiPrefill, PartiDecode, PartiDecodeWithoutCache))
    randomized(prefill)
    for other in (decode, whole):
        other.load_state_dict(prefill.state_dict())
        other.eval()
    return prefill, decode, whole


def test_decoding_with_a_cache_is_the_decoder_over_the_whole_prefix() -> None:
    """Start token, then nine image tokens: at every one the last logits of a call without any cache."""
    prefill, decode, whole = parti_decoders()
    text = torch.randn(2, 7, WIDTH)
    ids = torch.randint(0, CODES, (2, 9))
    ids = torch.cat((torch.full((2, 1), CODES), ids), dim=1)  # the start token is the row past the codes
    with torch.no_grad():
        logits, *caches = prefill(ids[:, :1], text)
        past, cross = caches[: 2 * LAYERS], caches[2 * LAYERS :]
        torch.testing.assert_close(logits, whole(ids[:, :1], text))
        for step in range(9):
            logits, *past = decode(ids[:, step + 1 : step + 2], named(past), named(cross))
            torch.testing.assert_close(logits, whole(ids[:, : step + 2], text), atol=1e-4, rtol=1e-4)
            assert past[0].shape == (2, int(TINY["heads"]), step + 2, WIDTH // int(TINY["heads"]))
    assert logits.std() > 1e-2


def test_a_wrong_cache_gives_other_logits() -> None:
    prefill, decode, whole = parti_decoders()
    text, ids = torch.randn(1, 7, WIDTH), torch.tensor([[CODES, 3]])
    with torch.no_grad():
        _, *caches = prefill(ids[:, :1], text)
        past, cross = caches[: 2 * LAYERS], caches[2 * LAYERS :]
        for broken in ((named(past), named([2 * t for t in cross])), (named([-t for t in past]), named(cross))):
            assert not torch.allclose(decode(ids[:, 1:], *broken)[0], whole(ids, text), atol=1e-3)


def test_the_encoder_is_that_of_bart() -> None:
    """Driven layer by layer it gives the states of transformers' own forward."""
    made = workload("parti-20b-tiny").stage("text_encoder")
    assert made.build is not None
    encoder = randomized(made.build().to_empty(device="cpu"))
    ids = torch.randint(2, 100, (2, 24))
    with torch.no_grad():
        own = encoder.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        torch.testing.assert_close(encoder(ids), own)


def test_the_decoder_is_that_of_bart() -> None:
    *_, whole = parti_decoders()
    ids, text = torch.randint(2, CODES, (2, 5)), torch.randn(2, 7, WIDTH)
    with torch.no_grad():
        states = whole.decoder(input_ids=ids, encoder_hidden_states=text, use_cache=False).last_hidden_state
        expected = states[:, -1:] @ whole.decoder.embed_tokens.weight[:CODES].t()
        torch.testing.assert_close(whole(ids, text), expected)


def named(tensors: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{part}_{i}": tensors[2 * i + j] for i in range(LAYERS) for j, part in enumerate(("key", "value"))}


def step_flops(tokens: int, length: int) -> int:
    """FLOP of one token beside `length` - 1 cached ones: 4 + 2 projections and an MLP, two attentions, the head."""
    layer = 2 * (6 * WIDTH**2 + 2 * WIDTH * HIDDEN) + 4 * length * WIDTH + 4 * tokens * WIDTH
    return LAYERS * layer + 2 * WIDTH * CODES


@pytest.mark.parametrize("step", [0, 1, 7, 14])
def test_flops_of_a_cached_step(step: int) -> None:
    made = workload("parti-20b-tiny", tokens=24)
    decode = made.stage("decode")
    assert stage_oracle(decode, made.step_values(decode, step)) == step_flops(24, step + 2)


@pytest.mark.parametrize("step", [0, 3, 15])
def test_flops_without_a_cache(step: int) -> None:
    """Every prefix token passes every layer and attends to all of them; the text is projected anew."""
    made = workload("parti-20b-tiny", tokens=24, kv_cache=0)
    stage, prefix = made.stage("decode_without_cache"), step + 1
    layer = prefix * 2 * (6 * WIDTH**2 + 2 * WIDTH * HIDDEN) + 24 * 4 * WIDTH**2
    layer += 4 * prefix * prefix * WIDTH + 4 * prefix * 24 * WIDTH
    assert stage_oracle(stage, made.step_values(stage, step)) == LAYERS * layer + 2 * WIDTH * CODES


def test_a_generation_with_the_cache_adds_up() -> None:
    """15 decode steps of 2 calls after the start token: cached tokens grow from 1 to 15."""
    report = static_report("parti-20b-tiny", "decode")
    assert report.steps == 15
    assert report.flops_total == 2 * sum(step_flops(24, step + 2) for step in range(15))


def test_one_capture_of_a_decode_step_serves_every_length() -> None:
    """The text's cached keys are another source than the token; lengths of 1 need no capture of their own."""
    made = workload("parti-20b-tiny")
    report = stage_report(analyze_stage(made, made.stage("decode"), Options()), Options())
    assert Counter(row.kind for row in report.attention) == {"self": LAYERS, "cross": LAYERS}
    assert [row.kv_tokens_expression for row in report.attention if row.kind == "self"] == ["cache + 1"] * LAYERS
    assert report.flops_expression == "256*batch*cache + 256*batch*tokens + 45312*batch"
    assert report.flops_total == 2 * sum(step_flops(24, step + 2) for step in range(15))


@pytest.mark.parametrize("step", [3, 15])
def test_without_a_cache_queries_are_as_many_as_keys(step: int) -> None:
    made = workload("parti-20b-tiny", kv_cache=0)
    stage = replace(made.stage("decode_without_cache"), steps=1, step_bindings={"prefix": step + 1})
    rows = stage_report(analyze_stage(made, stage, Options(dynamic=False, cache=False)), Options()).attention
    own = [row for row in rows if row.kind == "self"]
    assert [(row.q_tokens, row.kv_tokens, row.causal) for row in own] == [(step + 1, step + 1, True)] * LAYERS
    assert [(row.q_tokens, row.kv_tokens) for row in rows if row.kind == "cross"] == [(step + 1, 24)] * LAYERS


@pytest.mark.parametrize(
    ("bindings", "steps"),
    [
        ({}, {"prefill": 1, "decode": 1023}),
        ({"kv_cache": 0}, {"decode_without_cache": 1024}),
        ({"height": 512}, {"prefill": 1, "decode": 511}),
    ],
    ids=["cache", "no-cache", "half"],
)
def test_decoder_calls_are_one_a_token(bindings: dict[str, int], steps: dict[str, int]) -> None:
    made = workload("parti-20b", **bindings)
    found = {s.name: made.steps(s) for s in made.active if s.weights == "decoder"}
    assert found == steps
    assert sum(found.values()) == 1024 * made.values()["height"] // 1024


def test_lengths_grow_by_one_a_step() -> None:
    made = workload("parti-20b")
    decode, whole = made.stage("decode"), made.stage("decode_without_cache")
    assert [made.step_values(decode, s)["cache"] for s in (0, 1, 1022)] == [1, 2, 1023]
    assert [made.step_values(whole, s)["prefix"] for s in (0, 1, 1023)] == [1, 2, 1024]
    past = example_arguments(decode, made.step_values(decode, 1022))["past"]["key_63"]
    assert tuple(past.shape) == (1, 64, 1023, 64)


def test_guidance_that_stops_counts_decoder_calls_from_the_start_token() -> None:
    made = workload("parti-20b", guidance_stop=0.5)
    assert [made.calls_per_step(made.stage("decode"), s) for s in (0, 510, 511)] == [2, 2, 1]
    assert [made.calls_per_step(made.stage("decode_without_cache"), s) for s in (511, 512)] == [2, 1]
    assert made.calls(made.stage("prefill")) + made.calls(made.stage("decode")) == 1024 + 512


@pytest.mark.parametrize("binding", [{"height": 1056}, {"height": 1000}, {"kv_cache": 2}, {"tokens": 129}])
def test_impossible_bindings_are_refused(binding: dict[str, int]) -> None:
    with pytest.raises(BindingError):
        workload("parti-20b", **binding)


# Make-A-Video


def test_frames_and_sides_of_the_cascade() -> None:
    made = workload("make-a-video")
    shapes = {s.name: tuple(example_arguments(s, made.values())["sample"].shape) for s in made.stages[2:]}
    assert shapes == {
        "decoder": (1, 3, 16, 64, 64),
        "interpolation": (1, 7, 76, 64, 64),
        "spatiotemporal_super_resolution": (1, 6, 76, 256, 256),
        "spatial_super_resolution": (76, 6, 768, 768),
    }
    assert {s.name: (made.steps(s), made.calls_per_step(s)) for s in made.stages} == {
        "text_encoder": (1, 2),
        "prior": (25, 2),
        "decoder": (25, 2),
        "interpolation": (25, 2),
        "spatiotemporal_super_resolution": (7, 1),
        "spatial_super_resolution": (7, 1),
    }


def test_guidance_of_prior_and_decoder_is_apart() -> None:
    made = workload("make-a-video", guidance=1)
    assert [made.calls_per_step(made.stage(n)) for n in ("text_encoder", "prior", "decoder")] == [2, 2, 1]
    half = workload("make-a-video", guidance_stop=0.5, steps_prior=10)
    assert [half.calls(half.stage(n)) for n in ("prior", "decoder")] == [15, 38]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        # 2 going down, 1 in the middle, 4 going up; as many temporal blocks and one before them, of two attentions
        ("decoder", {("self", "spatial"): 7, ("cross", "spatial"): 7, ("self", "temporal"): 2 * 8}),
        ("spatial_super_resolution", {("cross", "spatial"): 6}),
    ],
)
def test_kinds_of_attention(stage: str, expected: dict[tuple[str, str], int]) -> None:
    rows = static_report("make-a-video-tiny", stage).attention
    assert Counter((row.kind, row.axis) for row in rows) == expected


def test_lengths_of_spatial_and_temporal_attention() -> None:
    rows = static_report("make-a-video-tiny", "decoder").attention
    assert {row.q_tokens for row in rows if row.axis == "temporal"} == {3}
    assert {row.q_tokens for row in rows if row.axis == "spatial"} == {64, 16}
    assert {row.kv_tokens for row in rows if row.kind == "cross"} == {81}


def test_defaults_of_the_prior_are_those_of_the_class() -> None:
    from diffusers import PriorTransformer

    own = inspect.signature(PriorTransformer.__init__).parameters
    assert {name: own[name].default for name in PRIOR_DEFAULTS} == dict(PRIOR_DEFAULTS)


# Phenaki


def test_eleven_frames_are_1536_tokens() -> None:
    made = workload("phenaki")
    tokens = example_arguments(made.stage("transformer"), made.step_values(made.stage("transformer"), 0))["tokens"]
    grid = example_arguments(made.stage("detokenizer"), made.values())["tokens"]
    assert tuple(tokens.shape) == (1, 1536)
    assert tuple(grid.shape) == (1, 6, 16, 16)


@pytest.mark.parametrize(
    ("frames", "windows"), [(11, 1), (12, 2), (17, 2), (18, 3), (23, 3), (240, 40)], ids=lambda n: str(n)
)
def test_windows(frames: int, windows: int) -> None:
    made = workload("phenaki", frames=frames)
    assert windows == 1 + math.ceil((frames - 11) / 6)
    found = {s.name: made.steps(s) for s in made.active}
    expected = {"text_encoder": 1, "tokenizer": windows - 1, "transformer": 48 * windows, "detokenizer": windows}
    assert found == {name: steps for name, steps in expected.items() if steps}


def test_fewer_frames_than_a_window_are_refused() -> None:
    with pytest.raises(BindingError):
        workload("phenaki", frames=10)


def test_tokens_are_unmasked_by_the_cosine() -> None:
    made = workload("phenaki", frames=17)
    stage = made.stage("transformer")
    masked = [int(made.step_values(stage, step)["masked"]) for step in range(made.steps(stage))]
    first, second = masked[:48], masked[48:]
    assert (first[0], first[23], first[47]) == (1535, int(1536 * math.cos(math.pi / 4)), 0)
    assert (second[0], second[47]) == (767, 0)
    for window in (first, second):
        assert window == sorted(window, reverse=True)


def test_guidance_stops_in_every_window() -> None:
    made = workload("phenaki", frames=17, guidance_stop=0.25)
    calls = [made.calls_per_step(made.stage("transformer"), step) for step in range(96)]
    assert calls == ([2] * 12 + [1] * 36) * 2


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("tokenizer", {("self", "spatial", False, 16): 2, ("self", "temporal", True, 3): 2}),
        ("detokenizer", {("self", "spatial", False, 16): 2, ("self", "temporal", True, 6): 2}),
        ("transformer", {("self", "spatiotemporal", False, 96): 2, ("cross", "spatiotemporal", False, 96): 2}),
    ],
)
def test_attentions_of_phenaki(stage: str, expected: dict[tuple[str, str, bool, int], int]) -> None:
    rows = static_report("phenaki-tiny", stage).attention
    assert Counter((row.kind, row.axis, row.causal, row.q_tokens) for row in rows) == expected


# All three


# (model, stages): (published parameters, share the count may differ by; above 0.03 docs/models.md says why)
SIZES = {
    ("parti-20b", ("text_encoder", "decode")): (20e9, 0.03),
    ("parti-3b", ("text_encoder", "decode")): (3e9, 0.03),
    ("parti-750m", ("text_encoder", "decode")): (750e6, 0.05),
    ("parti-350m", ("text_encoder", "decode")): (350e6, 0.09),
    ("parti-20b", ("vit_vqgan",)): (600e6, 0.06),
    ("parti-20b", ("super_resolution_1",)): (15e6, 0.03),
    ("parti-20b", ("super_resolution_2",)): (30e6, 0.03),
    ("make-a-video", ("prior",)): (1.3e9, 0.03),
    ("make-a-video", ("decoder",)): (3.1e9, 0.03),
    ("make-a-video", ("interpolation",)): (3.1e9, 0.03),
    ("make-a-video", ("spatiotemporal_super_resolution",)): (1.4e9, 0.03),
    ("make-a-video", ("spatial_super_resolution",)): (0.7e9, 0.03),
    ("phenaki", ("transformer",)): (1.8e9, 0.03),
    ("phenaki", ("tokenizer", "detokenizer")): (50e6, 0.04),
}


@pytest.mark.parametrize(("model", "stages"), SIZES, ids=[f"{m}-{'-'.join(s)}" for m, s in SIZES])
def test_parameters_are_near_the_published_ones(model: str, stages: tuple[str, ...]) -> None:
    published, share = SIZES[model, stages]
    made = workload(model)
    count = sum(p.numel() for name in stages for p in built(made, name).parameters())
    assert abs(count / published - 1) <= share, f"{count:,}"


@pytest.mark.parametrize(
    ("config", "published"),
    [(PARTI_20B, 20e9), (PARTI_3B, 3e9), (PARTI_750M, 750e6), (PARTI_350M, 350e6)],
    ids=["20b", "3b", "750m", "350m"],
)
def test_layers_of_parti_make_the_published_size(config: Config, published: float) -> None:
    """12 d^2 an encoder layer, 16 d^2 a decoder layer: what is above the published size is embeddings."""
    layers = 12 * int(config["encoder_layers"]) + 16 * int(config["decoder_layers"])
    assert abs(layers * int(config["d_model"]) ** 2 / published - 1) < 0.021


def test_text_of_4096_explains_both_published_sizes_of_phenaki() -> None:
    """8 d^2 of MLP, 4 d^2 of self- and 2 d^2 of cross-attention, and 2 * 4096 d for the text's keys and values."""
    for layers, width, published in ((24, 2048, 1.8e9), (20, 1536, 0.9e9)):
        assert abs(layers * (14 * width**2 + 2 * 4096 * width) / published - 1) < 0.02
        assert abs(layers * 16 * width**2 / published - 1) > 0.1


def built(made: Workload, name: str) -> torch.nn.Module:
    build = made.stage(name).build
    assert build is not None
    return build()


def stages() -> Iterator[tuple[str, str]]:
    for name in TINY_MODELS:
        for stage in find_model(name).workload().stages:
            yield name, stage.name


@pytest.mark.parametrize(("model", "stage"), list(stages()))
def test_tiny_stages_run_on_a_cpu(model: str, stage: str) -> None:
    made = workload(model)
    module = randomized(built(made, stage).to_empty(device="cpu"))
    for buffer in module.buffers():
        buffer.data.zero_()
    arguments = example_arguments(made.stage(stage), made.step_values(made.stage(stage), 0), "cpu")
    with torch.no_grad():
        output = module(**arguments)
    for leaf in torch.utils._pytree.tree_leaves(output):
        assert leaf.isfinite().all()
