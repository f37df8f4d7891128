"""Text-to-image models: what they list, how often their stages run, what they cost, and that tiny ones run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphlab.errors import BindingError
from graphlab.models import find_model, models
from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage

KINDS = ("text-to-image", "class-to-image", "text encoder", "decoder")
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "image_flops.json").read_text())
"""Written by tests/golden/make_image_flops.py with torch's own counter."""

IMAGE_MODELS = [name for name, model in models().items() if model.kind in KINDS]
TINY_MODELS = [name for name in IMAGE_MODELS if name.endswith("-tiny")]

# (model, stage): (parameters, GMACs at batch 1). Published figures: BK-SDM#53,
# MLCommons mobile_app_open PR 917, and configurations of the model repositories.
PUBLISHED = {
    ("stable-diffusion-v1-5", "unet"): (859_520_964, "401.637"),
    ("stable-diffusion-v1-5", "vae_decoder"): (49_490_199, "1257.259"),
    ("stable-diffusion-v1-5", "text_encoder"): (123_060_480, "6.649"),
    ("stable-diffusion-2-1", "unet"): (865_910_724, "1074.553"),
    ("stable-diffusion-xl", "unet"): (2_567_463_684, "3380.618"),
    ("stable-diffusion-xl", "text_encoder_2"): (694_659_840, "48.932"),
    ("stable-diffusion-xl-refiner", "unet"): (2_259_526_660, None),
    ("stable-diffusion-3-medium", "transformer"): (2_028_328_000, "4452.169"),
    ("stable-diffusion-3-5-large", "transformer"): (8_056_627_520, "15560.557"),
    ("flux-1-dev", "transformer"): (11_901_408_320, "37192.327"),
    ("flux-1-schnell", "transformer"): (11_891_178_560, "34733.313"),
    ("dit-xl-2-256", "transformer"): (749_826_464, "118.667"),
    ("dit-xl-2-512", "transformer"): (749_826_464, "524.584"),
    ("pixart-alpha-xl-2-512", "transformer"): (610_856_096, "617.993"),
    ("pixart-alpha-xl-2-1024", "transformer"): (611_349_152, "3254.762"),
    ("t5-xxl-encoder", "text_encoder"): (4_762_310_656, "1198.296"),
    ("clip-vit-l-14-text", "text_encoder"): (123_060_480, "6.649"),
    ("autoencoder-kl-decoder", "vae_decoder"): (49_490_199, "1257.259"),
}

# Parameters in billions as characterization.md and the model cards give them.
ROUNDED = {
    ("deepfloyd-if", "unet_1"): 4.305,
    ("deepfloyd-if", "unet_2"): 1.243,
    ("amused-256", "transformer"): 0.604,
    ("amused-512", "transformer"): 0.608,
}

# model: {stage: (steps, calls a step)} at default bindings, read from the diffusers pipelines.
RUNS = {
    "stable-diffusion-v1-5": {"text_encoder": (1, 2), "unet": (50, 2), "vae_decoder": (1, 1)},
    "stable-diffusion-2-1": {"text_encoder": (1, 2), "unet": (50, 2), "vae_decoder": (1, 1)},
    "stable-diffusion-xl": {
        "text_encoder": (1, 1),
        "text_encoder_2": (1, 1),
        "unet": (50, 2),
        "vae_decoder": (1, 1),
    },
    "stable-diffusion-xl-refiner": {"text_encoder_2": (1, 2), "unet": (15, 2), "vae_decoder": (1, 1)},
    "stable-diffusion-3-medium": {
        "text_encoder": (1, 2),
        "text_encoder_2": (1, 2),
        "text_encoder_3": (1, 2),
        "transformer": (28, 2),
        "vae_decoder": (1, 1),
    },
    "flux-1-dev": {"text_encoder": (1, 1), "text_encoder_2": (1, 1), "transformer": (28, 1), "vae_decoder": (1, 1)},
    "flux-1-schnell": {"text_encoder": (1, 1), "text_encoder_2": (1, 1), "transformer": (4, 1), "vae_decoder": (1, 1)},
    "dit-xl-2-256": {"transformer": (50, 2), "vae_decoder": (1, 1)},
    "pixart-alpha-xl-2-1024": {"text_encoder": (1, 2), "transformer": (20, 2), "vae_decoder": (1, 1)},
    "amused-256": {"text_encoder": (1, 2), "transformer": (12, 2), "vq_decoder": (1, 1)},
    "deepfloyd-if": {"text_encoder": (1, 2), "unet_1": (100, 2), "unet_2": (50, 2)},
}


def test_listing_and_workloads_import_no_torch() -> None:
    code = (
        "import sys; from graphlab.models import models\n"
        f"made = [m.workload() for m in models().values() if m.kind in {KINDS!r}]\n"
        "assert made and all(w.stages for w in made)\n"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_golden_holds_every_full_model_and_stage() -> None:
    stages = {n: {s.name for s in models()[n].workload().stages} for n in IMAGE_MODELS if not n.endswith("-tiny")}
    assert {name: set(rows) for name, rows in GOLDEN.items()} == stages


@pytest.mark.parametrize(("model", "stage"), PUBLISHED)
def test_published_numbers(model: str, stage: str) -> None:
    parameters, gmacs = PUBLISHED[model, stage]
    row = GOLDEN[model][stage]
    assert row["parameters"] == parameters
    assert gmacs is None or f"{row['flops'] / 2e9:.3f}" == gmacs


@pytest.mark.parametrize(("model", "stage"), ROUNDED)
def test_published_sizes(model: str, stage: str) -> None:
    assert round(GOLDEN[model][stage]["parameters"] / 1e9, 3) == ROUNDED[model, stage]


@pytest.mark.parametrize("name", GOLDEN)
def test_full_models_have_the_golden_parameters(name: str) -> None:
    for stage in find_model(name).workload().stages:
        assert parameters(stage) == GOLDEN[name][stage.name]["parameters"], stage.name


@pytest.mark.parametrize("name", RUNS)
def test_steps_and_calls(name: str) -> None:
    workload = find_model(name).workload()
    found = {s.name: (workload.steps(s), workload.calls_per_step(s)) for s in workload.stages}
    assert found == RUNS[name]
    assert list(found) == list(RUNS[name])


def test_no_guidance_is_one_call() -> None:
    workload = find_model("stable-diffusion-v1-5").workload().bind({"guidance": 1})
    assert [workload.calls_per_step(s) for s in workload.stages] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "binding"),
    [
        ("stable-diffusion-v1-5", {"height": 500}),
        ("stable-diffusion-v1-5", {"tokens": 78}),
        ("stable-diffusion-3-medium", {"height": 1032}),
        ("stable-diffusion-3-medium", {"height": 4096}),
        ("flux-1-dev", {"width": 1000}),
        ("flux-1-dev", {"tokens": 513}),
        ("flux-1-schnell", {"guidance": 3.5}),
        ("amused-512", {"height": 528}),
        ("deepfloyd-if", {"height": 272}),
    ],
)
def test_impossible_bindings_are_refused(name: str, binding: dict[str, float]) -> None:
    with pytest.raises(BindingError):
        find_model(name).workload().bind(binding)


@pytest.mark.parametrize("name", [n for n in GOLDEN if find_model(n).kind in KINDS[:2]])
def test_every_model_has_a_tiny_version(name: str) -> None:
    tiny = find_model(f"{name}-tiny").workload()
    assert [s.name for s in tiny.stages] == [s.name for s in find_model(name).workload().stages]
    assert {v.name for v in tiny.variables} == {v.name for v in find_model(name).workload().variables}


@pytest.mark.parametrize("name", TINY_MODELS)
def test_tiny_models_run_on_meta_at_another_size(name: str) -> None:
    workload = find_model(name).workload()
    values = {**workload.values(), "batch": 2}
    values.update({side: int(values[side]) * 2 for side in ("height", "width")})
    for stage in workload.stages:
        assert stage.build is not None
        forward(stage.build(), stage, {**workload.step_values(stage, 0), **values}, "meta")


@pytest.mark.parametrize("name", TINY_MODELS)
def test_tiny_models_run_on_cpu(name: str) -> None:
    workload = find_model(name).workload()
    for stage in workload.stages:
        assert stage.build is not None
        module = with_random_weights(stage.build())
        for output in tensors(forward(module, stage, workload.step_values(stage, 0), "cpu")):
            assert output.isfinite().all(), stage.name


_COUNTED: dict[str, int] = {}


def parameters(stage: Stage) -> int:
    """Parameters of `stage`; stages of one class and configuration are built once."""
    if stage.identity not in _COUNTED:
        assert stage.build is not None
        _COUNTED[stage.identity] = sum(p.numel() for p in stage.build().parameters())
    return _COUNTED[stage.identity]


def forward(module: torch.nn.Module, stage: Stage, values: dict[str, int | float], device: str) -> object:
    """What `module` returns for the example arguments of `stage`."""
    arguments = example_arguments(stage, values, device)
    if device == "meta" and "input_ids" in arguments:
        # Outside an export transformers reads the mask's contents, which meta tensors do not have.
        arguments.pop("attention_mask", None)
    with torch.no_grad():
        return module(**arguments)


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


def tensors(output: object) -> list[torch.Tensor]:
    """The tensors in what a module returned."""
    return [leaf for leaf in torch.utils._pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)]
