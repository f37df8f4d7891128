"""What is measured: one call of a stage, its batch doubled where its pipeline guides with a doubled batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import graphlab
from graphlab.measuring.casting import in_dtype
from graphlab.workload import Stage, Workload


@dataclass(frozen=True)
class Row:
    """One call of `stage` of the built-in `model` at `bindings`, in its own dtype or in `dtype`.

    `channels_last` lays weights and inputs of four axes out as diffusers advises for convolutions. `compiled` says
    whether torch.compile is measured too: it takes minutes for large graphs.
    """

    name: str
    model: str
    stage: str
    bindings: Mapping[str, Any] = field(default_factory=dict)
    dtype: str | None = None
    channels_last: bool = False
    compiled: bool = False

    def found(self) -> tuple[Workload, Stage]:
        """The workload under the bindings, and the stage in the dtype."""
        workload = graphlab.load(self.model, **self.bindings)
        return workload, in_dtype(workload.stage(self.stage), self.dtype)


_SD15 = Row("sd15-b2", "stable-diffusion-v1-5", "unet", {"batch": 2})
_SDXL = Row("sdxl-b2", "stable-diffusion-xl", "unet", {"batch": 2})

ROWS = (
    replace(_SD15, compiled=True),
    replace(_SD15, name="sd15-b2-last", channels_last=True, compiled=True),
    replace(_SD15, name="sd15-b16", bindings={"batch": 16}),
    replace(_SD15, name="sd15-b16-last", bindings={"batch": 16}, channels_last=True, compiled=True),
    replace(_SDXL, compiled=True),
    replace(_SDXL, name="sdxl-b2-last", channels_last=True, compiled=True),
    Row("pixart-b2", "pixart-alpha-xl-2-1024", "transformer", {"batch": 2}, compiled=True),
    Row("sd3-b2", "stable-diffusion-3-medium", "transformer", {"batch": 2}),
    Row("flux", "flux-1-dev", "transformer"),
    Row("animatediff-b2", "animatediff", "unet", {"batch": 2}),
    Row("modelscope-b2", "modelscope-t2v", "unet", {"batch": 2}),
    Row("svd-b2", "stable-video-diffusion", "unet", {"batch": 2}),
    Row("cogvideox-2b-b2", "cogvideox-2b", "transformer", {"batch": 2}),
    Row("ltx-b2", "ltx-video", "transformer", {"batch": 2}),
    Row("wan-1.3b", "wan-2-1-t2v-1.3b", "transformer"),
    Row("hunyuan-544-65", "hunyuan-video", "transformer", {"height": 544, "width": 960, "frames": 65}),
    Row("llama-2-7b-prefill", "llama-2-7b", "prefill"),
    Row("llama-2-7b-decode", "llama-2-7b", "decode", compiled=True),
    Row("t5-xxl", "t5-xxl-encoder", "text_encoder"),
    Row("sd-vae", "autoencoder-kl-decoder", "vae_decoder", dtype="float16"),
    Row("sdxl-vae", "stable-diffusion-xl", "vae_decoder"),
)

TINY = (
    Row("tiny-sd15", "stable-diffusion-v1-5-tiny", "unet", {"batch": 2}, compiled=True),
    Row("tiny-sd15-last", "stable-diffusion-v1-5-tiny", "unet", channels_last=True),
    Row("tiny-llama", "llama-2-7b-tiny", "decode"),
)
"""Rows to try the script with where there is no GPU."""

BY_NAME = {row.name: row for row in (*ROWS, *TINY)}
