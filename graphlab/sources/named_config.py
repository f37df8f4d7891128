"""A user's config.json to the guesses it allows: one a spelling in which files of that class exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.guess import Guess
from graphlab.sources.spellings import (
    DIT_RULES,
    FLUX_RULES,
    OPENCLIP_RULES,
    SD3_RULES,
    Shape,
    Shapes,
    compvis_unet,
    compvis_vae,
    respell,
)

_OPTIONAL = r"(text_model\.)?embeddings\.position_ids|logit_scale|.*rotary_emb\.inv_freq"


def guess_of_config(config: Mapping[str, Any]) -> tuple[Guess, ...]:
    """Guesses of the class that `config` names; UnknownArchitectureError when it names none."""
    architectures = config.get("architectures")
    named = config.get("_class_name") or (
        architectures[0] if isinstance(architectures, list) and architectures else None
    )
    if not isinstance(named, str):
        raise UnknownArchitectureError(
            "the configuration names no class", hint="it needs _class_name (diffusers) or architectures (transformers)"
        )
    settings = {key: value for key, value in config.items() if not key.startswith("_")}
    optional = _OPTIONAL
    if named == "T5EncoderModel":
        optional += r"|shared\.weight|encoder\.embed_tokens\.weight"
    if settings.get("tie_word_embeddings"):
        optional += r"|lm_head\.weight"
    return tuple(
        Guess(named, settings, spelling, spell, "the given configuration", (), optional)
        for spelling, spell in _spellings(named, settings)
    )


def _spellings(named: str, config: Mapping[str, Any]) -> list[tuple[str, Callable[[Shapes], Mapping[str, Shape]]]]:
    found: list[tuple[str, Callable[[Shapes], Mapping[str, Shape]]]] = [("the class's own", lambda shapes: shapes)]
    if named == "UNet2DConditionModel":
        up = config.get("up_block_types") or ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3]
        layers = config.get("layers_per_block", 2)
        if isinstance(layers, int):
            found.append(("CompVis", compvis_unet(layers, ["CrossAttn" in kind for kind in up])))
    elif named == "AutoencoderKL":
        found.append(("CompVis", compvis_vae(len(config.get("block_out_channels", (64,))))))
    elif named == "DiTTransformer2DModel":
        found.append(("facebookresearch/DiT", lambda shapes: _dit(shapes, config)))
    elif named == "SD3Transformer2DModel":
        found.append(("Stability (joint_blocks)", lambda shapes: respell(shapes, SD3_RULES)))
    elif named == "FluxTransformer2DModel":
        found.append(("Black Forest Labs (double_blocks)", lambda shapes: respell(shapes, FLUX_RULES)))
    elif named in ("CLIPTextModel", "CLIPTextModelWithProjection"):
        found.append(("transformers", _with_text_model))
        found.append(("OpenCLIP", lambda shapes: respell(shapes, OPENCLIP_RULES)))
    return found


def _dit(shapes: Shapes, config: Mapping[str, Any]) -> Mapping[str, Shape]:
    spelled = respell(shapes, DIT_RULES)
    side = int(config.get("sample_size", 32)) // int(config.get("patch_size", 2))
    return {**spelled, "pos_embed": (1, side * side, spelled["x_embedder.proj.weight"][0])}


def _with_text_model(shapes: Shapes) -> Mapping[str, Shape]:
    own = ("text_model.", "text_projection")
    return {key if key.startswith(own) else f"text_model.{key}": shape for key, shape in shapes.items()}
