"""Phenaki: T5 text, a masked transformer over video tokens, C-ViViT between tokens and pixels.

A window is 11 frames: 6 latent frames (the first frame, then 5 pairs) of (height // 8) x (width // 8) tokens, 1536
at 128 x 128. Longer videos are made window by window: the last 5 frames are encoded again (3 latent frames, so
half of the window's tokens are known) and the other 6 frames are filled in. n windows hold 11 + 6 (n - 1) frames:

    windows = 1 + ceil((frames - 11) / 6)

The transformer reads all tokens of its window at every step, masked or known. `masked`, how many are still masked
after a step, follows MaskGIT's cosine and changes no shape.
"""

from __future__ import annotations

from dataclasses import replace

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.cvivit import tokens_input, video_input
from graphlab.components.video import video_variables
from graphlab.models.building_blocks import CALLS, ENCODED, T5_XXL, TINY_T5, sampling
from graphlab.models.registry import Model
from graphlab.workload import Stage, Variable, Workload

# Source: the paper (C-ViViT: 4 + 4 layers, 512 wide, 8 heads, MLP 2048, 8192 codes of width 32; 11 frames, 128 px)
CVIVIT: Config = {
    "spatial_layers": 4,
    "temporal_layers": 4,
    "hidden_size": 512,
    "heads": 8,
    "codes": 8192,
    "code_width": 32,
    "patch": 8,
    "frames_per_latent": 2,
    "latent_frames": 6,
    "grid": 16,
}

# Source: the paper (24 layers, 2048 wide, 32 heads, MLP 8192, 1.8B). The width of the text is not given: keys and
# values read from 4096, T5-XXL's, make the published 1.8B, and 0.9B of the paper's 20 x 1536 variant as well.
TRANSFORMER: Config = {
    "layers": 24,
    "hidden_size": 2048,
    "heads": 32,
    "intermediate_size": 8192,
    "codes": 8192,
    "positions": 1536,
    "text_width": 4096,
    "patch": 8,
    "latent_frames": 6,
}

TINY_CVIVIT: Config = {
    **CVIVIT, "spatial_layers": 2, "temporal_layers": 2, "hidden_size": 32, "heads": 4, "codes": 64, "code_width": 8,
}  # fmt: skip
TINY_TRANSFORMER: Config = {
    **TRANSFORMER, "layers": 2, "hidden_size": 32, "heads": 4, "intermediate_size": 64, "codes": 64, "text_width": 32,
}  # fmt: skip

WINDOW, PRIMING = 11, 5
"""Frames of a window, and how many of them are the end of the window before."""

NEW = WINDOW - PRIMING
WINDOWS = f"1 + (frames - {WINDOW} + {NEW - 1}) // {NEW}"


def _latent(frames: int) -> int:
    return 1 + (frames - 1) // int(CVIVIT["frames_per_latent"])


def masked_tokens() -> str:
    """Tokens still masked after `step`: by cosine, of the whole window in the first, of the new frames in later ones.

    Source of the schedule: MaskGIT (arXiv 2202.04200); 0 after the last step of a window.
    """
    every, new = _latent(WINDOW), _latent(WINDOW) - _latent(PRIMING)
    places = f"({every} if step < steps else {new}) * (height // 8) * (width // 8)"
    return f"int({places} * math.cos(1.5707963267948966 * (step % steps + 1) / steps))"


def window_stages(cvivit: Config, transformer: Config, dtype: str) -> tuple[Stage, Stage, Stage]:
    """`tokenizer` on the priming frames of all windows but the first, `transformer`, `detokenizer`."""
    encoder = component_for("CViViTEncoder", cvivit, dtype)
    decoder = component_for("CViViTDecoder", cvivit, dtype)
    maskgit = component_for("PhenakiTransformer", transformer, dtype)
    patch = int(cvivit["patch"])
    return (
        encoder.stage("tokenizer", steps=f"{WINDOWS} - 1", inputs={"video": video_input(PRIMING, dtype)}),
        maskgit.stage(
            "transformer",
            steps=f"({WINDOWS}) * steps",
            calls_per_step=CALLS.replace("step <", "step % steps <"),
            step_bindings={"masked": masked_tokens()},
        ),
        decoder.stage("detokenizer", steps=WINDOWS, inputs={"tokens": tokens_input(_latent(WINDOW), patch)}),
    )


def _workload(name: str, text: Config, cvivit: Config, transformer: Config, dtype: str, side: int) -> Workload:
    text_encoder = component_for("T5EncoderModel", text, dtype)
    largest = int(cvivit["grid"]) * int(cvivit["patch"])
    height, width, frames, batch = video_variables(side, side, WINDOW, multiple_of=int(cvivit["patch"]))
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            *window_stages(cvivit, transformer, dtype),
        ),
        variables=(
            replace(height, maximum=largest),
            replace(width, maximum=largest),
            replace(frames, minimum=WINDOW),
            batch,
            Variable("tokens", 128, "text tokens, padding included"),
            Variable("steps", 48, "transformer steps per window"),
            *sampling(48, 5.0)[1:],
        ),
        assumptions=_ASSUMPTIONS,
    )


_ASSUMPTIONS = (
    f"frames beyond {WINDOW} come in windows of {NEW} new frames, primed on the last {PRIMING}; one prompt for all",
    "text encoder: T5 v1.1 XXL, a stand-in; which T5X it was, the text length (128 here) and the guidance scale (5 "
    "here) are unknown",
    "learned positions in C-ViViT and in the transformer: stand-ins, the published ones are unknown",
    "bfloat16 for the published size: nothing was released",
)


def phenaki() -> Workload:
    """11 frames of 128 x 128 pixels (1536 tokens), bfloat16, 48 steps with guidance."""
    return _workload("phenaki", T5_XXL, CVIVIT, TRANSFORMER, "bfloat16", 128)


def phenaki_tiny() -> Workload:
    """The topology of phenaki with 11 frames of 32 x 32 pixels, narrow, float32."""
    return _workload("phenaki-tiny", TINY_T5, TINY_CVIVIT, TINY_TRANSFORMER, "float32", 32)


MODELS = (
    Model("phenaki", "masked transformer over video tokens, 11 frames of 128 px", phenaki, (), "text-to-video"),
    Model("phenaki-tiny", "phenaki, narrow, 32 px", phenaki_tiny, (), "text-to-video"),
)
