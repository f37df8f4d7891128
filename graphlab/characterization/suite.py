"""The models `graphlab characterize` runs when none is named: the eight systems, their open relatives, today's."""

from __future__ import annotations

EIGHT = (
    "llama-2-7b", "imagen", "stable-diffusion-v1-5", "muse", "parti-20b", "production-image", "make-a-video", "phenaki",
)  # fmt: skip
"""The eight systems of "Generative AI Beyond LLMs" (the count is the paper's, the names are recalled, unverified)."""

RELATIVES = ("deepfloyd-if", "amused-256", "modelscope-t2v")
"""Open models of the same kinds as systems whose configurations are not public."""

TODAY = (
    "stable-diffusion-xl", "stable-diffusion-3-medium", "flux-1-dev", "pixart-alpha-xl-2-1024", "cogvideox-2b",
    "wan-2-1-t2v-1.3b", "ltx-video", "hunyuan-video", "stable-video-diffusion", "animatediff",
)  # fmt: skip

SUITE = (*EIGHT, *RELATIVES, *TODAY)
"""Every model of the suite, in the order it is shown."""

TINY = tuple(f"{name}-tiny" for name in SUITE)
"""The suite's tiny presets: the same topologies, narrow, for a CPU."""
