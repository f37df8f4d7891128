"""Muse: T5-XXL, a masked transformer over 16 x 16 tokens, one that makes 64 x 64 of them, a VQGAN decoder.

Every published number is from Chang et al. (arXiv 2301.00704), sections 2.1 to 2.8 and the appendix; what the paper
does not say is a stand-in and among the assumptions. `muse` is the cascade to 512 x 512 pixels; `muse-256` stops at
the base model and decodes its tokens, as the paper's figures at 256 x 256 do.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.muse import LOW_SCALE, token_rows
from graphlab.models.building_blocks import CALLS, T5_XXL, TINY_T5, image_size, sampling
from graphlab.models.registry import Model
from graphlab.workload import Argument, Stage, Variable, Workload

# Source: table 4; heads are a stand-in
BASE: Config = {
    "hidden_size": 2048,
    "num_layers": 48,
    "num_attention_heads": 32,
    "mlp_size": 8192,
    "codebook_size": 8192,
    "text_width": 4096,
    "sample_size": 16,
}

# Source: table 6; heads and block_size are stand-ins
SUPER_RESOLUTION: Config = {
    "hidden_size": 1024,
    "num_layers": 32,
    "encoder_layers": 16,
    "num_attention_heads": 16,
    "mlp_size": 4096,
    "codebook_size": 8192,
    "text_width": 4096,
    "sample_size": 64,
    "low_res_sample_size": 16,
    "block_size": 8,
}

# Source: A.2 (base channels 128, 2 residual blocks a resolution, no attention, codebook 8192); multipliers and the
# width of a code are those of Esser et al. (arXiv 2012.09841), whose architecture A.2 calls similar: a stand-in
_VQ: Config = {
    "layers_per_block": 2,
    "latent_channels": 256,
    "num_vq_embeddings": 8192,
    "mid_block_add_attention": False,
    "lookup_from_codebook": True,
}
VQ_16: Config = {
    **_VQ,
    "block_out_channels": [128, 128, 256, 256, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 5,
    "up_block_types": ["UpDecoderBlock2D"] * 5,
}
VQ_8: Config = {
    **_VQ,
    "block_out_channels": [128, 256, 256, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}

TINY_BASE: Config = {
    **BASE,
    "hidden_size": 32,
    "num_layers": 2,
    "num_attention_heads": 4,
    "mlp_size": 64,
    "codebook_size": 64,
    "text_width": 32,
}
TINY_SUPER_RESOLUTION: Config = {
    **SUPER_RESOLUTION,
    "hidden_size": 32,
    "num_layers": 2,
    "encoder_layers": 1,
    "num_attention_heads": 4,
    "mlp_size": 64,
    "codebook_size": 64,
    "text_width": 32,
}
_TINY_VQ: Config = {"layers_per_block": 1, "latent_channels": 16, "num_vq_embeddings": 64}
TINY_VQ_16: Config = {**VQ_16, **_TINY_VQ, "block_out_channels": [32, 32, 32, 64, 64]}
TINY_VQ_8: Config = {**VQ_8, **_TINY_VQ, "block_out_channels": [32, 32, 64, 64]}

TOKENS = Variable("tokens", 128, "T5 tokens, padding included (stand-in: not published)")

NOTES = (
    "stand-in, not published: heads of 64, biases, 128 text tokens, an output MLP of one hidden layer, the guidance "
    "scale (it grows during sampling; above 1 every step is counted as two calls, the first ones too)",
    "positions are a learned row plus a learned column embedding, which bounds the image's side",
    "without text a call is counted like one with it; no negative prompt: one text encoding",
    "VQGAN decoder, stand-in: channel multipliers and code width of Esser et al.; not the wider finetuned decoder",
)


def masked(positions: str, steps: str) -> str:
    """Positions still masked after `step`: the cosine schedule of MaskGIT (arXiv 2202.04200), 0 after the last."""
    return f"int({positions} * math.cos(1.5707963267948966 * (step + 1) / {steps}))"


def _decoding(name: str, class_name: str, config: Config, dtype: str, scale: int, steps: str) -> Stage:
    inputs: dict[str, Argument] = {"tokens": token_rows(scale)}
    positions = f"(height // {scale}) * (width // {scale})"
    return component_for(class_name, config, dtype).stage(
        name,
        steps=steps,
        calls_per_step=CALLS.replace("* steps", f"* {steps}"),
        step_bindings={"masked": masked(positions, steps)},
        inputs=inputs,
    )


def _cascade(name: str, configs: tuple[Config, Config, Config, Config], dtype: str, side: int) -> Workload:
    t5, base, high, vq = configs
    most = min(int(high["sample_size"]) * 8, int(base["sample_size"]) * LOW_SCALE)
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("T5EncoderModel", t5, dtype).stage("text_encoder"),
            _decoding("transformer", "MuseTransformer", base, dtype, LOW_SCALE, "steps"),
            _decoding("super_resolution", "MuseSuperResolution", high, dtype, 8, "steps_2"),
            component_for("VQModel", vq, dtype).stage("vq_decoder"),
        ),
        variables=(
            *image_size(side, 8 * int(high["block_size"]), most),
            TOKENS,
            *sampling(24, 5.0),
            Variable("steps_2", 8, "decoding steps of the super-resolution model"),
        ),
        assumptions=(
            f"{dtype}, stand-in: not published; the f=8 decoder runs once, on the cascade's last tokens",
            f"multi-axis attention, stand-in: half of the heads within {high['block_size']} x {high['block_size']} "
            "blocks and half across them, as in Zhao et al. (arXiv 2106.07631)",
            "the low-resolution encoder is counted in every call, though its tokens do not change",
            *NOTES,
        ),
    )


def _base(name: str, configs: tuple[Config, Config, Config], dtype: str, side: int) -> Workload:
    t5, base, vq = configs
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("T5EncoderModel", t5, dtype).stage("text_encoder"),
            _decoding("transformer", "MuseTransformer", base, dtype, 16, "steps"),
            component_for("VQModel", vq, dtype).stage("vq_decoder"),
        ),
        variables=(*image_size(side, 16, int(base["sample_size"]) * 16), TOKENS, *sampling(24, 5.0)),
        assumptions=(f"{dtype}, stand-in: not published", *NOTES),
    )


def muse() -> Workload:
    """512 x 512 pixels, float16: 24 steps over 256 tokens, 8 over 4096, one decoding."""
    return _cascade("muse", (T5_XXL, BASE, SUPER_RESOLUTION, VQ_8), "float16", 512)


def muse_256() -> Workload:
    """256 x 256 pixels, float16: 24 steps over 256 tokens, one decoding."""
    return _base("muse-256", (T5_XXL, BASE, VQ_16), "float16", 256)


def muse_tiny() -> Workload:
    """The topology of muse at 256 x 256 pixels, narrow, float32."""
    return _cascade("muse-tiny", (TINY_T5, TINY_BASE, TINY_SUPER_RESOLUTION, TINY_VQ_8), "float32", 256)


def muse_256_tiny() -> Workload:
    """The topology of muse-256 at 128 x 128 pixels, narrow, float32."""
    return _base("muse-256-tiny", (TINY_T5, TINY_BASE, TINY_VQ_16), "float32", 128)


MODELS = (
    Model("muse", "masked token cascade, 512 px, 24 and 8 steps, from the paper's tables", muse),
    Model("muse-256", "muse's base model alone, 256 px, 24 steps", muse_256),
    Model("muse-tiny", "muse, narrow, 256 px", muse_tiny),
    Model("muse-256-tiny", "muse-256, narrow, 128 px", muse_256_tiny),
)
