"""Text-to-video models: what they cost, how often their stages run, and that tiny ones export and run."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphlab.components import COMPONENTS, component_for
from graphlab.errors import BindingError, UnknownArchitectureError
from graphlab.models import find_model, models
from graphlab.sources.arguments import example_arguments
from graphlab.symbolic import evaluate_text
from graphlab.workload import Argument, Stage, TensorInput

KINDS = ("text-to-video", "image-to-video", "language")
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "video_language_flops.json").read_text())
"""Written by tests/golden/make_video_language_flops.py with torch's own counter."""

ALL = [name for name, model in models().items() if model.kind in KINDS]
VIDEO = [name for name in ALL if models()[name].kind != "language"]
TINY = [name for name in VIDEO if name.endswith("-tiny")]
FULL = [name for name in ALL if not name.endswith("-tiny")]

# (case, stage): (parameters, GMACs at batch 1). Published figures.
PUBLISHED = {
    ("modelscope-t2v", "unet"): (1_411_233_860, "2,443.553"),
    ("stable-video-diffusion", "unet"): (1_524_623_082, "22,400.9"),
    ("cogvideox-2b", "transformer"): (1_693_783_872, "59,998.7"),
    ("wan-2-1-t2v-1.3b", "transformer"): (1_418_996_800, "141,500.9"),
    ("wan-2-1-t2v-14b", "transformer"): (14_288_491_584, "3,261,718.3"),
    ("ltx-video width=768", "transformer"): (1_923_385_472, "20,870.8"),
    ("hunyuan-video", "transformer"): (12_821_012_544, "6,034,296.1"),
    ("llama-2-7b tokens=128", "prefill"): (6_738_415_616, "850.001"),
    ("llama-2-7b", "prefill"): (6_738_415_616, "14,630.806"),
}

# model: {stage: (steps, calls a step)} at default bindings, read from the diffusers pipelines.
RUNS = {
    "modelscope-t2v": {"text_encoder": (1, 2), "unet": (50, 2), "vae_decoder": (1, 1)},
    "animatediff": {"text_encoder": (1, 2), "unet": (50, 2), "vae_decoder": (1, 1)},
    "stable-video-diffusion": {
        "image_encoder": (1, 1),
        "vae_encoder": (1, 1),
        "unet": (25, 2),
        "vae_decoder": (1, 1),
    },
    "cogvideox-2b": {"text_encoder": (1, 2), "transformer": (50, 2), "vae_decoder": (1, 1)},
    "wan-2-1-t2v-1.3b": {"text_encoder": (1, 2), "transformer": (50, 2), "vae_decoder": (1, 1)},
    "ltx-video": {"text_encoder": (1, 2), "transformer": (50, 2), "vae_decoder": (1, 1)},
    "hunyuan-video": {"text_encoder": (1, 1), "text_encoder_2": (1, 1), "transformer": (50, 1), "vae_decoder": (1, 1)},
}

# model: (latent frames at the default, latent frames one more frame later)
LATENTS = {"cogvideox-2b": (13, 13), "wan-2-1-t2v-14b": (21, 21), "hunyuan-video": (33, 33), "modelscope-t2v": (16, 17)}


def test_workloads_import_no_torch() -> None:
    code = (
        "import sys; from graphlab.models import models\n"
        f"made = [m.workload() for m in models().values() if m.kind in {KINDS!r}]\n"
        "assert made and all(w.stages for w in made)\n"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_golden_holds_every_full_model_and_stage() -> None:
    assert {case for case in GOLDEN if " " not in case} == set(FULL)
    for case, rows in GOLDEN.items():
        assert set(rows) == {s.name for s in find_model(case.split()[0]).workload().stages}


@pytest.mark.parametrize(("case", "stage"), PUBLISHED)
def test_published_numbers(case: str, stage: str) -> None:
    parameters, gmacs = PUBLISHED[case, stage]
    row = GOLDEN[case][stage]
    decimals = len(gmacs.split(".")[1])
    assert (row["parameters"], f"{row['flops'] / 2e9:,.{decimals}f}") == (parameters, gmacs)


def test_animatediff_is_stable_diffusion_and_the_motion_adapter() -> None:
    assert GOLDEN["animatediff"]["unet"]["parameters"] == 859_520_964 + 453_209_280


@pytest.mark.parametrize("name", FULL)
def test_full_models_have_the_golden_parameters(name: str) -> None:
    for stage in find_model(name).workload().stages:
        assert parameters(stage) == GOLDEN[name][stage.name]["parameters"], stage.name


@pytest.mark.parametrize("name", RUNS)
def test_steps_and_calls(name: str) -> None:
    workload = find_model(name).workload()
    assert {s.name: (workload.steps(s), workload.calls_per_step(s)) for s in workload.stages} == RUNS[name]


@pytest.mark.parametrize("name", LATENTS)
def test_latent_frames(name: str) -> None:
    workload = find_model(name).workload()
    axis = 1 if name.startswith("cogvideox") else 2
    latent = next(a for a in workload.stages[-2].inputs.values() if isinstance(a, TensorInput) and a.role == "latent")
    frames = int(workload.values()["frames"])
    found = [evaluate_text(latent.shape[axis], {**workload.values(), "frames": n}) for n in (frames, frames + 1)]
    assert tuple(found) == LATENTS[name]


@pytest.mark.parametrize(
    ("name", "binding"),
    [
        ("modelscope-t2v", {"height": 100}),
        ("animatediff", {"frames": 33}),
        ("stable-video-diffusion", {"width": 1020}),
        ("cogvideox-2b", {"tokens": 225}),
        ("wan-2-1-t2v-1.3b", {"width": 840}),
        ("ltx-video", {"height": 528}),
        ("hunyuan-video", {"height": 728}),
    ],
)
def test_impossible_bindings_are_refused(name: str, binding: dict[str, float]) -> None:
    with pytest.raises(BindingError):
        find_model(name).workload().bind(binding)


@pytest.mark.parametrize("name", FULL)
def test_every_model_has_a_tiny_version(name: str) -> None:
    tiny, full = find_model(f"{name}-tiny").workload(), find_model(name).workload()
    assert [s.name for s in tiny.stages] == [s.name for s in full.stages]
    assert {v.name for v in tiny.variables} == {v.name for v in full.variables}


TWINS = ("stable-video-diffusion-xt-tiny", "wan-2-1-t2v-14b-tiny", "cogvideox-2b-tiny")
"""Same classes and same decoder as another tiny model: only the slow run takes them."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in TWINS else n for n in TINY])
def test_tiny_models_run_on_cpu(name: str) -> None:
    workload = find_model(name).workload()
    for stage in workload.stages:
        assert stage.build is not None
        module = with_random_weights(stage.build())
        with torch.no_grad():
            output = module(**arguments_of(stage, workload.values(), "cpu"))
        for leaf in torch.utils._pytree.tree_leaves(output):
            assert leaf.isfinite().all(), stage.name


# One model of each family; U-Nets and decoders take up to a minute each when symbolic, so they are slow tests.
TRANSFORMERS = ["cogvideox-5b-tiny", "hunyuan-video-tiny", "ltx-video-tiny", "wan-2-1-t2v-1.3b-tiny"]
UNETS = ["animatediff-tiny", "modelscope-t2v-tiny", "stable-video-diffusion-tiny"]
# Axes that depend on a variable and stay what they were at capture: {model: {stage: {input: axes}}}. The 2B's
# table of positions has one size; two decoders loop over frames in Python.
STATIC = {
    "cogvideox-2b-tiny": {"transformer": {"hidden_states": [1, 3, 4], "encoder_hidden_states": [1]}},
    "hunyuan-video-tiny": {"vae_decoder": {"latent": [2]}},
    "wan-2-1-t2v-1.3b-tiny": {"vae_decoder": {"latent": [2]}},
}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_export_symbolically(name: str) -> None:
    workload = find_model(name).workload()
    assert static_axes(workload.stage("transformer"), workload.values()) == {}


@pytest.mark.parametrize("name", UNETS)
def test_unets_export(name: str) -> None:
    workload = find_model(name).workload()
    stage = workload.stage("unet")
    assert stage.build is not None
    with torch.no_grad():
        torch.export.export(stage.build(), (), arguments_of(stage, workload.values(), "meta"), strict=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cogvideox-2b-tiny", *TRANSFORMERS, *UNETS])
def test_every_stage_exports_symbolically(name: str) -> None:
    workload = find_model(name).workload()
    found = {stage.name: static_axes(stage, workload.values()) for stage in workload.stages}
    assert {name: axes for name, axes in found.items() if axes} == STATIC.get(name, {})


# class: module of its DEFAULTS
DEFAULTS = {
    "CogVideoXTransformer3DModel": "cogvideox",
    "HunyuanVideoTransformer3DModel": "hunyuan_video",
    "WanTransformer3DModel": "wan",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_class(name: str) -> None:
    import diffusers

    import graphlab.components as package

    known = getattr(package, DEFAULTS[name]).DEFAULTS
    own = {k: p.default for k, p in inspect.signature(getattr(diffusers, name).__init__).parameters.items()}
    assert {k: own[k] for k in known} == dict(known)


CLASSES = [
    "AutoencoderKLCogVideoX", "AutoencoderKLHunyuanVideo", "AutoencoderKLLTXVideo", "AutoencoderKLWan",
    "CogVideoXTransformer3DModel", "HunyuanVideoTransformer3DModel", "LTXVideoTransformer3DModel",
    "UNet3DConditionModel", "UNetMotionModel", "UNetSpatioTemporalConditionModel", "WanTransformer3DModel",
]  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_an_empty_configuration_is_the_class_defaults(name: str) -> None:
    """The inputs graphlab derives fit the module that the class makes of its own defaults."""
    stage = component_for(name, {}, "float32").stage("it")
    variables = {v.name: v.default for v in component_for(name, {}, "float32").variables}
    small = {"height": 64, "width": 64, "frames": 9, "batch": 1}
    assert stage.build is not None
    with torch.no_grad():
        stage.build()(**arguments_of(stage, {**variables, **small}, "meta"))


# The decoder of LTX-Video 0.9.1, narrow: it takes a timestep, and grows channels back in its blocks.
LTX_VAE_0_9_1 = {
    "latent_channels": 8,
    "decoder_block_out_channels": [8, 16, 32],
    "decoder_layers_per_block": [1, 1, 1, 1],
    "decoder_spatio_temporal_scaling": [True, True, True],
    "decoder_inject_noise": [False, False, False, False],
    "upsample_residual": [True, True, True],
    "upsample_factor": [2, 2, 2],
    "timestep_conditioning": True,
}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("WanTransformer3DModel", {"num_layers": 1, "in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}),
        ("CogVideoXTransformer3DModel", {"num_layers": 1, "patch_size_t": 2, "use_rotary_positional_embeddings": True}),
        ("CogVideoXTransformer3DModel", {
            "num_layers": 1, "use_rotary_positional_embeddings": True, "ofs_embed_dim": 512,
        }),
        ("HunyuanVideoTransformer3DModel", {"num_layers": 1, "num_single_layers": 1, "guidance_embeds": False}),
        ("HunyuanVideoTransformer3DModel", {
            "num_layers": 1, "num_single_layers": 1, "image_condition_type": "token_replace",
        }),
        ("UNetMotionModel", {
            "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "cross_attention_dim": 2048,
            "projection_class_embeddings_input_dim": 2816,
        }),
        ("AutoencoderKLLTXVideo", LTX_VAE_0_9_1),
    ],
)  # fmt: skip
def test_options_of_the_classes(name: str, config: dict[str, object]) -> None:
    made = component_for(name, config, "float32")
    values = {v.name: v.default for v in made.variables} | {"height": 64, "width": 64, "frames": 13, "batch": 2}
    with torch.no_grad():
        made.build()(**arguments_of(made.stage("it"), values, "meta"))


def test_options_that_cannot_be_honoured_are_refused() -> None:
    with pytest.raises(UnknownArchitectureError, match="ip_image_proj"):
        component_for("UNetMotionModel", {"encoder_hid_dim_type": "ip_image_proj"}, "float32")
    with pytest.raises(UnknownArchitectureError, match="patch"):
        component_for("LTXVideoTransformer3DModel", {"patch_size": 2}, "float32")


def test_every_component_is_named_after_its_class() -> None:
    assert set(CLASSES) <= set(COMPONENTS)


_COUNTED: dict[str, int] = {}


def parameters(stage: Stage) -> int:
    """Parameters of `stage`; stages of one class and configuration are built once."""
    if stage.identity not in _COUNTED:
        assert stage.build is not None
        _COUNTED[stage.identity] = sum(p.numel() for p in stage.build().parameters())
    return _COUNTED[stage.identity]


def arguments_of(stage: Stage, values: dict[str, int | float], device: str) -> dict[str, object]:
    """Example arguments with every mask set: nothing is padding."""
    made = example_arguments(stage, values, device)
    for name, argument in stage.inputs.items():
        if isinstance(argument, TensorInput) and name.endswith("mask"):
            made[name] = torch.ones_like(made[name])
    return made


def static_axes(stage: Stage, values: dict[str, int | float]) -> dict[str, list[int]]:
    """{input: axes that depend on a variable and came out of a symbolic, non-strict export as numbers}."""
    from graphlab.sources.stage import _dynamic

    assert stage.build is not None
    kwargs = arguments_of(stage, {**values, "batch": 2}, "meta")
    shapes = {name: _dynamic(argument) for name, argument in stage.inputs.items()}
    with torch.no_grad():
        program = torch.export.export(stage.build(), (), kwargs, dynamic_shapes=shapes, strict=False)
    inputs = [n for n in program.graph.nodes if n.op == "placeholder" and isinstance(n.meta.get("val"), torch.Tensor)]
    found = {n.name: n.meta["val"].shape for n in inputs}
    static = {}
    for name, argument in stage.inputs.items():
        axes = [i for i in _sized(argument) if str(found[name][i]).isdigit()] if name in found else []
        if axes:
            static[name] = axes
    return static


def _sized(argument: Argument) -> list[int]:
    return (
        [i for i, size in enumerate(argument.shape) if isinstance(size, str)]
        if isinstance(argument, TensorInput)
        else []
    )


def with_random_weights(module: torch.nn.Module) -> torch.nn.Module:
    """`module` on the CPU with small random weights; integer buffers count up (CLIP's position_ids)."""
    torch.manual_seed(0)
    module = module.to_empty(device="cpu")
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data.normal_(std=0.05)
        else:
            tensor.data.copy_(torch.arange(tensor.shape[-1]).expand(tensor.shape))
    return module
