"""Imagen, Muse and the production image model: what is specific to them. The oracle tests run them like any model."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from graphlab.architectures.efficient_unet import ResNetBlock
from graphlab.architectures.muse_super_resolution import MultiAxisAttention
from graphlab.errors import BindingError
from graphlab.models import find_model
from graphlab.sources.arguments import example_arguments
from graphlab.sources.stage import axis_sizes
from graphlab.stage_analysis import Options, analyze_stage, stage_report

RUNS = {
    "imagen": {"text_encoder": (1, 1), "unet_1": (256, 2), "unet_2": (128, 2), "unet_3": (128, 2)},
    "muse": {"text_encoder": (1, 1), "transformer": (24, 2), "super_resolution": (8, 2), "vq_decoder": (1, 1)},
    "muse-256": {"text_encoder": (1, 1), "transformer": (24, 2), "vq_decoder": (1, 1)},
    "production-image": {"text_encoder": (1, 1), "text_encoder_2": (1, 1), "unet": (50, 2), "vae_decoder": (1, 1)},
}

# (model, stage): {(kind, query tokens, key tokens): how many} at default bindings, batch 1. The kind of Imagen's text
# pooling is not visible: one query, the mean of the tokens, reads itself and them.
ATTENTIONS = {
    ("imagen", "unet_2"): {("joint", 256, 256 + 128): 2, (None, 1, 129): 1},
    ("imagen", "unet_3"): {("cross", 4096, 128): 2, (None, 1, 129): 1},
    ("muse", "transformer"): {("self", 256, 256): 48, ("cross", 256, 128): 48},
    ("muse", "super_resolution"): {("self", 256, 256): 16, ("self", 64, 64): 64, ("cross", 4096, 256 + 128): 32},
    ("muse-256", "transformer"): {("self", 256, 256): 48, ("cross", 256, 128): 48},
}


@pytest.mark.parametrize("name", RUNS)
def test_steps_and_calls(name: str) -> None:
    workload = find_model(name).workload()
    found = {s.name: (workload.steps(s), workload.calls_per_step(s)) for s in workload.stages}
    assert found == RUNS[name]


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("imagen", {"guidance": 1, "guidance_2": 1, "guidance_3": 1}),
        ("muse", {"guidance": 1}),
        ("production-image", {"guidance": 1}),
    ],
    ids=["imagen", "muse", "production-image"],
)
def test_without_guidance_every_step_is_one_call(name: str, off: dict[str, float]) -> None:
    workload = find_model(name).workload().bind(off)
    assert {workload.calls_per_step(stage) for stage in workload.stages} == {1}


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("imagen", {"unet_1": 256 + 64, "unet_2": 128 + 32, "unet_3": 128 + 32}),
        ("muse", {"transformer": 24 + 6, "super_resolution": 8 + 2}),
    ],
    ids=["imagen", "muse"],
)
def test_guidance_ends_after_its_share_of_each_networks_own_steps(name: str, calls: dict[str, int]) -> None:
    workload = find_model(name).workload().bind({"guidance_stop": 0.25})
    assert {stage: workload.calls(workload.stage(stage)) for stage in calls} == calls


@pytest.mark.parametrize(("model", "stage"), ATTENTIONS, ids=["-".join(key) for key in ATTENTIONS])
def test_attentions_of_the_published_sizes(model: str, stage: str) -> None:
    workload = find_model(model).workload()
    report = stage_report(analyze_stage(workload, workload.stage(stage), Options(dynamic=False)), Options())
    found = Counter((row.kind, row.q_tokens, row.kv_tokens) for row in report.attention)
    assert found == ATTENTIONS[model, stage]


@pytest.mark.parametrize(
    ("model", "stage", "kinds"),
    [
        ("imagen-tiny", "unet_1", {("joint", "spatial"): 10, (None, None): 1}),
        ("imagen-tiny", "unet_2", {("joint", "spatial"): 2, (None, None): 1}),
        ("imagen-tiny", "unet_3", {("cross", "spatial"): 2, (None, None): 1}),
        ("muse-tiny", "transformer", {("self", "spatial"): 2, ("cross", "spatial"): 2}),
        ("muse-tiny", "super_resolution", {("self", "spatial"): 1 + 2 * 2, ("cross", "spatial"): 2}),
    ],
    ids=["unet_1", "unet_2", "unet_3", "transformer", "super_resolution"],
)
def test_kinds_are_told_from_symbolic_captures(
    model: str, stage: str, kinds: dict[tuple[str | None, str | None], int]
) -> None:
    workload = find_model(model).workload()
    sites = analyze_stage(workload, workload.stage(stage), Options()).sites
    assert Counter((site.kind, site.axis) for site in sites) == kinds


def test_the_last_network_of_imagen_has_no_self_attention() -> None:
    """Positions of the picture are in no keys of unet_3, and in all keys of unet_2's own attentions."""
    workload = find_model("imagen-tiny").workload()
    for stage, kind in (("unet_2", "joint"), ("unet_3", "cross")):
        sites = analyze_stage(workload, workload.stage(stage), Options()).sites
        assert {site.kind for site in sites if site.axis == "spatial"} == {kind}
    unet = workload.stage("unet_3")
    assert unet.build is not None
    names = {name for name, _ in unet.build().named_modules()}
    assert not any(name.endswith("attention.key_value") for name in names)


def test_residual_blocks_run_after_the_halving_and_before_the_doubling() -> None:
    workload = find_model("imagen-tiny").workload()
    stage = workload.stage("unet_3")
    assert stage.build is not None
    module = stage.build()
    seen: dict[str, int] = {}
    for name, part in module.named_modules():
        if isinstance(part, ResNetBlock):
            part.register_forward_hook(lambda _m, given, _o, name=name: seen.update({name: given[0].shape[-1]}))
    output = module(**example_arguments(stage, workload.values()))
    assert output.shape == (1, 3, 512, 512)
    sides = {(part, int(level)): side for (part, level, *_), side in ((n.split("."), s) for n, s in seen.items())}
    assert sides == {(part, level): 512 >> (level + 1) for part in ("down", "up") for level in range(4)}


@pytest.mark.parametrize(
    ("model", "stage", "positions"),
    [("muse", "transformer", 256), ("muse", "super_resolution", 4096), ("muse-256", "transformer", 256)],
)
@pytest.mark.parametrize("steps", [None, 1, 5, 30])
def test_masked_tokens_fall_to_none_and_change_no_shape(
    model: str, stage: str, positions: int, steps: int | None
) -> None:
    workload = find_model(model).workload()
    if steps is not None:
        workload = workload.bind({"steps_2" if stage == "super_resolution" else "steps": steps})
    part = workload.stage(stage)
    values = [workload.step_values(part, step) for step in range(workload.steps(part))]
    masked = [int(value["masked"]) for value in values]
    assert all(later < earlier for earlier, later in zip([positions, *masked], masked, strict=False))
    assert masked[-1] == 0
    assert {tuple(axis_sizes(part, value).items()) for value in values} == {tuple(axis_sizes(part, values[0]).items())}


def test_masked_tokens_follow_the_cosine() -> None:
    workload = find_model("muse").workload()
    part = workload.stage("super_resolution")
    # 4096 * cos(pi / 2 * (1, 4, 7) / 8)
    assert [workload.step_values(part, step)["masked"] for step in (0, 3, 6)] == [4017, 2896, 799]


def test_multi_axis_attention_is_attention_under_two_masks() -> None:
    torch.manual_seed(0)
    layer, x = MultiAxisAttention(16, 4, 2), torch.randn(2, 4, 6, 16)
    rows, columns = torch.arange(4).repeat_interleave(6), torch.arange(6).repeat(4)
    within = (rows[:, None] // 2 == rows // 2) & (columns[:, None] // 2 == columns // 2)
    across = (rows[:, None] % 2 == rows % 2) & (columns[:, None] % 2 == columns % 2)
    parts = (part(x).reshape(2, 24, 4, 4).transpose(1, 2) for part in (layer.query, layer.key, layer.value))
    read = F.scaled_dot_product_attention(*parts, attn_mask=torch.stack((within, within, across, across)))
    torch.testing.assert_close(layer(x), layer.out(read.transpose(1, 2).reshape(2, 4, 6, 16)))


@pytest.mark.parametrize(
    ("name", "binding"),
    [
        ("imagen", {"height": 1000}),
        ("imagen", {"steps_3": 0}),
        ("muse", {"height": 576}),
        ("muse", {"width": 480}),
        ("muse", {"steps_2": -1}),
        ("muse-256", {"height": 272}),
    ],
    ids=["imagen-grid", "imagen-steps", "muse-positions", "muse-grid", "muse-steps", "muse-256-positions"],
)
def test_impossible_bindings_are_refused(name: str, binding: dict[str, int]) -> None:
    with pytest.raises(BindingError):
        find_model(name).workload().bind(binding)


@pytest.mark.parametrize("suffix", ["", "-tiny"])
def test_the_stand_in_is_stable_diffusion_xl(suffix: str) -> None:
    stand_in = find_model(f"production-image{suffix}").workload()
    model = find_model(f"stable-diffusion-xl{suffix}").workload()
    assert [s.identity for s in stand_in.stages] == [s.identity for s in model.stages]
    assert stand_in.values() == model.values()
