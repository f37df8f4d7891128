"""Parti: a text encoder, 1024 causal decode steps over image tokens, ViT-VQGAN, two super-resolution networks.

`height` and `width` are those of the image after super-resolution (1024 x 1024). A quarter of them is what the
tokens stand for, 8 x 8 pixels each, so an image has (height // 32) * (width // 32) tokens: 1024.

With a cache (`kv_cache` 1) the decoder is called once a token: `prefill` reads the start token and projects the
text's keys and values, and gives the first image token; call s = 0, 1, ... of `decode` reads token s beside s + 1
cached ones (the start token and the tokens before s) and gives token s + 1. Without one (`kv_cache` 0) call s of
`decode_without_cache` reads the start token and all s tokens there are, and projects the text again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from graphlab.components import component_for
from graphlab.components.base import Component, Config
from graphlab.models.building_blocks import ENCODED, image_size, sampling
from graphlab.models.registry import Model
from graphlab.workload import Argument, Size, Stage, TensorInput, Variable, Workload

# Source: Table 1 of the paper as quoted by secondary sources. Vocabulary: recalled, unverified.
PARTI_20B: Config = {
    "encoder_layers": 16,
    "decoder_layers": 64,
    "d_model": 4096,
    "d_hidden": 16384,
    "heads": 64,
    "vocab_size": 16000,
    "codes": 8192,
    "text_tokens": 128,
    "image_tokens": 1024,
}
# Layers, widths and heads of the smaller three: recalled, unverified.
PARTI_3B: Config = {
    **PARTI_20B, "encoder_layers": 12, "decoder_layers": 36, "d_model": 2048, "d_hidden": 8192, "heads": 32,
}  # fmt: skip
PARTI_750M: Config = {**PARTI_3B, "d_model": 1024, "d_hidden": 4096, "heads": 16}
PARTI_350M: Config = {**PARTI_750M, "decoder_layers": 12}

# 8 x 8 patches, 8192 codes and about 600M parameters are the paper's; layers, width, heads and the width of a code
# are those of ViT-VQGAN's large decoder as recalled, unverified. They make 630M.
VIT_VQGAN: Config = {
    "layers": 32, "hidden_size": 1280, "heads": 16, "codes": 8192, "code_width": 32, "patch": 8, "grid": 32,
}  # fmt: skip

# 15M and 30M parameters are the paper's; blocks and channels are chosen to give them: stand-ins.
SUPER_RESOLUTION_512: Config = {"blocks": 13, "channels": 128, "expansion": 4, "scale": 2}
SUPER_RESOLUTION_1024: Config = {**SUPER_RESOLUTION_512, "blocks": 25}

TINY: Config = {
    **PARTI_20B, "encoder_layers": 2, "decoder_layers": 2, "d_model": 32, "d_hidden": 64, "heads": 4,
    "vocab_size": 100, "codes": 64, "text_tokens": 24,
}  # fmt: skip
TINY_VQGAN: Config = {**VIT_VQGAN, "layers": 2, "hidden_size": 32, "heads": 4, "codes": 64, "code_width": 8}
TINY_512: Config = {**SUPER_RESOLUTION_512, "blocks": 2, "channels": 8}
TINY_1024: Config = {**TINY_512, "blocks": 3}

TOKENS = "(height // 32) * (width // 32)"


def guided(call: str) -> str:
    """Calls a step, 2 with guidance, where `call` says which of the tokens' decoder calls it is."""
    return f"2 if guidance > 1 and {call} < guidance_stop * {TOKENS} else 1"


def decoder_stages(config: Config, dtype: str) -> tuple[Stage, Stage, Stage]:
    """`prefill` and `decode`, which run with a cache, and `decode_without_cache`, which runs without one."""

    def stage(name: str, class_name: str, steps: str, call: str, bindings: dict[str, Size]) -> Stage:
        part = component_for(class_name, config, dtype)
        return replace(
            part.stage(name, steps=steps, calls_per_step=guided(call), step_bindings=bindings), weights="decoder"
        )

    return (
        stage("prefill", "PartiPrefill", "1 if kv_cache else 0", "0", {}),
        stage("decode", "PartiDecode", f"{TOKENS} - 1 if kv_cache else 0", "step + 1", {"cache": "step + 1"}),
        stage(
            "decode_without_cache",
            "PartiDecodeWithoutCache",
            f"0 if kv_cache else {TOKENS}",
            "step",
            {"prefix": "step + 1"},
        ),
    )


def _scaled(part: Component, name: str, inputs: dict[str, TensorInput]) -> Stage:
    overrides: dict[str, Argument] = dict(inputs)
    return part.stage(name, inputs=overrides)


def image_stages(vqgan: Config, to_512: Config, to_1024: Config, dtype: str) -> tuple[Stage, Stage, Stage]:
    """`vit_vqgan` at a quarter of height and width, `super_resolution_1` to a half, `super_resolution_2` to all."""
    decoder = component_for("ViTVQGANDecoder", vqgan, dtype)
    tokens = decoder.inputs["tokens"]
    assert isinstance(tokens, TensorInput)

    def image(divisor: int) -> TensorInput:
        return TensorInput(("batch", 3, f"height // {divisor}", f"width // {divisor}"), dtype, role="condition")

    return (
        _scaled(decoder, "vit_vqgan", {"tokens": replace(tokens, shape=("batch", "height // 32", "width // 32"))}),
        _scaled(component_for("WDSR", to_512, dtype), "super_resolution_1", {"image": image(4)}),
        _scaled(component_for("WDSR", to_1024, dtype), "super_resolution_2", {"image": image(2)}),
    )


def _workload(name: str, config: Config, image: tuple[Config, Config, Config], dtype: str, side: int) -> Workload:
    encoder = component_for("PartiEncoder", config, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            encoder.stage("text_encoder", calls_per_step=ENCODED),
            *decoder_stages(config, dtype),
            *image_stages(*image, dtype),
        ),
        variables=(
            *image_size(side, 32, maximum=1024),
            next(variable for variable in encoder.variables if variable.name == "tokens"),
            Variable("kv_cache", 1, "1: decode with a key-value cache; 0: over the whole prefix", minimum=0, maximum=1),
            *sampling(1024, 3.0)[1:],
        ),
        assumptions=_ASSUMPTIONS,
    )


_ASSUMPTIONS = (
    "prefill is the decoder's call on the start token and projects the text's keys and values; call s of decode then "
    "reads one token beside s + 1 cached ones, so that a decoder call is made for every image token",
    "bfloat16 for the published sizes: nothing was released, and the layers check float16 values as they run",
    "the layers are BART's (learned positions, norms after the residual, tied head): a stand-in of the same sizes",
    "a text vocabulary of 16000, guidance 3 and, below 20B, layers and widths are recalled, unverified",
    "all text tokens are attended to, padding included; logits are computed for the last position only",
    "ViT-VQGAN's layers and width are recalled, unverified; WDSR's blocks and channels are stand-ins of 15M and 30M",
)

_IMAGE = (VIT_VQGAN, SUPER_RESOLUTION_512, SUPER_RESOLUTION_1024)
_TINY_IMAGE = (TINY_VQGAN, TINY_512, TINY_1024)


def _models(size: str, config: Config, aliases: tuple[str, ...] = ()) -> tuple[Model, Model]:
    name = f"parti-{size}"
    full = partial(_workload, name, config, _IMAGE, "bfloat16", 1024)
    small = partial(_workload, f"{name}-tiny", TINY, _TINY_IMAGE, "float32", 128)
    return (
        Model(name, f"autoregressive image tokens, {size.upper()}, 1024 px", full, aliases),
        Model(f"{name}-tiny", f"{name}, narrow, 128 px", small),
    )


MODELS = (
    *_models("20b", PARTI_20B, ("parti",)),
    *_models("3b", PARTI_3B),
    *_models("750m", PARTI_750M),
    *_models("350m", PARTI_350M),
)
