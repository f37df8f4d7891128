"""What built-in models leave to their pipeline: its class and its scheduler, as the published folders have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownPipeline:
    """A pipeline class of diffusers, the scheduler_config.json of its published models, other keys of its index.

    `decoder` are the keys of the autoencoder's configuration that its graph does not show: how latents are scaled.
    """

    pipeline: str
    scheduler: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] = field(default_factory=dict)


_LATENT_DIFFUSION = {
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
    "steps_offset": 1,
}  # fmt: skip
_PNDM = {"_class_name": "PNDMScheduler", **_LATENT_DIFFUSION, "set_alpha_to_one": False, "skip_prk_steps": True}
_FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
_PATCHED = {"_class_name": "DPMSolverMultistepScheduler", "beta_start": 0.0001, "beta_end": 0.02, "solver_order": 2}

_SD3_SCALE = {"scaling_factor": 1.5305, "shift_factor": 0.0609}
_FLUX_SCALE = {"scaling_factor": 0.3611, "shift_factor": 0.1159}

# Each is the scheduler/scheduler_config.json of the repository named.
_KNOWN: Mapping[str, KnownPipeline] = {
    # stable-diffusion-v1-5/stable-diffusion-v1-5
    "stable-diffusion-v1-5": KnownPipeline("StableDiffusionPipeline", _PNDM, {"requires_safety_checker": False}),
    # stabilityai/stable-diffusion-2-1
    "stable-diffusion-2-1": KnownPipeline(
        "StableDiffusionPipeline",
        {
            "_class_name": "DDIMScheduler", **_LATENT_DIFFUSION, "clip_sample": False, "set_alpha_to_one": False,
            "prediction_type": "v_prediction",
        },
        {"requires_safety_checker": False},
    ),
    # stabilityai/stable-diffusion-xl-base-1.0
    "stable-diffusion-xl": KnownPipeline(
        "StableDiffusionXLPipeline",
        {"_class_name": "EulerDiscreteScheduler", **_LATENT_DIFFUSION, "timestep_spacing": "leading"},
        {"force_zeros_for_empty_prompt": True},
        {"scaling_factor": 0.13025},
    ),
    # stabilityai/stable-diffusion-3-medium-diffusers
    "stable-diffusion-3": KnownPipeline("StableDiffusion3Pipeline", {**_FLOW, "shift": 3.0}, decoder=_SD3_SCALE),
    # black-forest-labs/FLUX.1-dev
    "flux-1-dev": KnownPipeline(
        "FluxPipeline", {**_FLOW, "shift": 3.0, "use_dynamic_shifting": True}, decoder=_FLUX_SCALE
    ),
    # black-forest-labs/FLUX.1-schnell
    "flux-1-schnell": KnownPipeline("FluxPipeline", {**_FLOW, "shift": 1.0}, decoder=_FLUX_SCALE),
    # facebook/DiT-XL-2-256
    "dit": KnownPipeline("DiTPipeline", {"_class_name": "DDIMScheduler", "clip_sample": False}),
    # PixArt-alpha/PixArt-XL-2-1024-MS
    "pixart-alpha": KnownPipeline("PixArtAlphaPipeline", _PATCHED),
    # Lightricks/LTX-Video
    "ltx-video": KnownPipeline(
        "LTXPipeline",
        {
            **_FLOW, "use_dynamic_shifting": True, "base_image_seq_len": 1024, "base_shift": 0.95,
            "max_image_seq_len": 4096, "max_shift": 2.05, "shift_terminal": 0.1,
        },
    ),
    # Wan-AI/Wan2.1-T2V-1.3B-Diffusers
    "wan-2-1": KnownPipeline(
        "WanPipeline",
        {
            "_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction", "use_flow_sigmas": True,
            "flow_shift": 3.0,
        },
    ),
    # hunyuanvideo-community/HunyuanVideo
    "hunyuan-video": KnownPipeline("HunyuanVideoPipeline", {**_FLOW, "shift": 7.0}),
}  # fmt: skip


_UNKNOWN = ("stable-diffusion-xl-refiner",)
"""Models that go on from an image: no text-to-image pipeline runs them."""


def known_pipeline(model: str) -> KnownPipeline | None:
    """The pipeline of the built-in model `model` by the longest name it starts with; None where none is known."""
    if model.startswith(_UNKNOWN):
        return None
    found = [name for name in _KNOWN if model == name or model.startswith(f"{name}-")]
    return _KNOWN[max(found, key=len)] if found else None
