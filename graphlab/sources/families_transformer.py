"""Diffusion transformers: DiT, Stable Diffusion 3, FLUX, PixArt and aMUSEd, from keys and shapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.guess import CONFIG_HINT, Config, Guess, Keys, settle, shipped
from graphlab.sources.spellings import DIT_RULES, FLUX_RULES, SD3_RULES, Rules, Shape, Shapes, respell

_DIT_HEADS = {384: 6, 768: 12, 1024: 16, 1152: 16}
"""Heads by width in the DiT paper, table 1 (arXiv 2212.09748)."""


def _same(shapes: Shapes) -> Shapes:
    return shapes


def _by_rules(rules: Rules) -> Callable[[Shapes], Mapping[str, Shape]]:
    return lambda shapes: respell(shapes, rules)


def _side(keys: Keys, key: str) -> int:
    """Positions a side of a square table of position embeddings (1, side * side, width)."""
    positions = keys.dim(key, 1)
    side = math.isqrt(positions)
    if side * side != positions:
        raise UnknownArchitectureError(f"{keys.what}: {key} has {positions} positions, not a square", hint=CONFIG_HINT)
    return side


def _guess(
    keys: Keys, class_name: str, derived: Config, fallback: Config, spelling: str, spell: Callable[[Shapes], Shapes]
) -> Guess:
    """The shipped configuration that agrees, else the derived one with `fallback` for what shapes do not tell."""
    settled = settle(class_name, derived, loose=("in_channels", "out_channels", "num_embeds_ada_norm"))
    if settled is None:
        rest = ", ".join(f"{key} {value}" for key, value in fallback.items())
        note = f"no shipped model has these shapes; not told by them and assumed: {rest}"
        settled = {**fallback, **derived}, f"{class_name} relative", (note,) if rest else ()
    config, name, assumptions = settled
    return Guess(class_name, config, spelling, spell, name, assumptions)


def recognise_dit(keys: Keys) -> Guess | None:
    """The guess of DiTTransformer2DModel in facebook's or diffusers' spelling, or None."""
    if "y_embedder.embedding_table.weight" in keys and "x_embedder.proj.weight" in keys:
        names = (
            "x_embedder.proj.weight",
            r"blocks\.(\d+)\.",
            "y_embedder.embedding_table.weight",
            "final_layer.linear.weight",
        )
        return _dit(keys, names, original=True)
    embedder = "transformer_blocks.0.norm1.emb.class_embedder.embedding_table.weight"
    if embedder in keys and "pos_embed.proj.weight" in keys:
        return _dit(
            keys,
            ("pos_embed.proj.weight", r"transformer_blocks\.(\d+)\.", embedder, "proj_out_2.weight"),
            original=False,
        )
    return None


def _dit(keys: Keys, names: tuple[str, str, str, str], *, original: bool) -> Guess:
    projection, block, classes, out = names
    width, channels, patch = keys.dim(projection, 0), keys.dim(projection, 1), keys.dim(projection, 2)
    heads = _DIT_HEADS.get(width)
    if heads is None:
        raise UnknownArchitectureError(
            f"{keys.what} is a DiT of width {width}; head counts are known for {sorted(_DIT_HEADS)}", hint=CONFIG_HINT
        )
    derived: Config = {
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": keys.dim(out, 0) // (patch * patch),
        "num_layers": keys.count(block),
        "num_embeds_ada_norm": keys.dim(classes, 0) - 1,  # one row more for the empty class
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
    }
    if not original:
        return _guess(keys, "DiTTransformer2DModel", derived, {"sample_size": 32}, "diffusers", _same)
    side = _side(keys, "pos_embed")
    derived["sample_size"] = side * patch

    def spell(shapes: Shapes) -> Mapping[str, Shape]:
        return {**respell(shapes, DIT_RULES), "pos_embed": (1, side * side, width)}

    guess = _guess(keys, "DiTTransformer2DModel", derived, {}, "facebookresearch/DiT", spell)
    note = f"{heads} heads by the DiT paper's table for width {width}"
    return Guess(guess.class_name, guess.config, guess.spelling, spell, guess.name, (*guess.assumptions, note))


def recognise_sd3(keys: Keys) -> Guess | None:
    """The guess of SD3Transformer2DModel in diffusers' or Stability's spelling, or None."""
    if keys.any(r"^joint_blocks\.0\.x_block\."):
        projection, positions, block, pooled, out = (
            "x_embedder.proj.weight", "pos_embed", "joint_blocks", "y_embedder.mlp.0.weight",
            "final_layer.linear.weight",
        )  # fmt: skip
        norm, dual, original = "joint_blocks.0.x_block.attn.ln_q.weight", "x_block.attn2.qkv.weight", True
    elif "pos_embed.pos_embed" in keys and keys.any(r"^transformer_blocks\.0\.attn\.add_q_proj\."):
        projection, positions, block, pooled, out = (
            "pos_embed.proj.weight", "pos_embed.pos_embed", "transformer_blocks",
            "time_text_embed.text_embedder.linear_1.weight", "proj_out.weight",
        )  # fmt: skip
        norm, dual, original = "transformer_blocks.0.attn.norm_q.weight", "attn2.to_q.weight", False
    else:
        return None
    width, patch = keys.dim(projection, 0), keys.dim(projection, 2)
    layers = keys.count(block + r"\.(\d+)\.")
    head = keys.dim(norm, 0) if norm in keys else 64
    derived: Config = {
        "patch_size": patch,
        "in_channels": keys.dim(projection, 1),
        "out_channels": keys.dim(out, 0) // (patch * patch),
        "num_layers": layers,
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": keys.dim("context_embedder.weight", 1),
        "caption_projection_dim": width,
        "pooled_projection_dim": keys.dim(pooled, 1),
        "pos_embed_max_size": _side(keys, positions),
        "qk_norm": "rms_norm" if norm in keys else None,
        "dual_attention_layers": [i for i in range(layers) if f"{block}.{i}.{dual}" in keys],
    }
    spelling, spell = ("Stability (joint_blocks)", _by_rules(SD3_RULES)) if original else ("diffusers", _same)
    guess = _guess(keys, "SD3Transformer2DModel", derived, {"sample_size": 128}, spelling, spell)
    notes = (
        guess.assumptions if norm in keys else (*guess.assumptions, "heads of 64 channels, as in every published SD3")
    )
    return Guess(guess.class_name, guess.config, spelling, spell, guess.name, notes)


def recognise_flux(keys: Keys) -> Guess | None:
    """The guess of FluxTransformer2DModel in diffusers' or Black Forest Labs' spelling, or None."""
    original = keys.any(r"^double_blocks\.0\.img_attn\.")
    if not original and not (keys.any(r"^single_transformer_blocks\.0\.proj_mlp\.") and "x_embedder.weight" in keys):
        return None
    if original:
        norm, embed, context = "double_blocks.0.img_attn.norm.query_norm.scale", "img_in.weight", "txt_in.weight"
        pooled, guidance, out = "vector_in.in_layer.weight", "guidance_in.in_layer.weight", "final_layer.linear.weight"
        layers, singles = keys.count(r"double_blocks\.(\d+)\."), keys.count(r"single_blocks\.(\d+)\.")
    else:
        norm, embed, context = "transformer_blocks.0.attn.norm_q.weight", "x_embedder.weight", "context_embedder.weight"
        pooled, out = "time_text_embed.text_embedder.linear_1.weight", "proj_out.weight"
        guidance = "time_text_embed.guidance_embedder.linear_1.weight"
        layers = keys.count(r"transformer_blocks\.(\d+)\.")
        singles = keys.count(r"single_transformer_blocks\.(\d+)\.")
    head = keys.dim(norm, 0)
    derived: Config = {
        "patch_size": 1,
        "in_channels": keys.dim(embed, 1),
        "out_channels": keys.dim(out, 0),
        "num_layers": layers,
        "num_single_layers": singles,
        "attention_head_dim": head,
        "num_attention_heads": keys.dim(embed, 0) // head,
        "joint_attention_dim": keys.dim(context, 1),
        "pooled_projection_dim": keys.dim(pooled, 1),
        "guidance_embeds": guidance in keys,
    }
    if head != 128:
        raise UnknownArchitectureError(
            f"{keys.what} is a FLUX of head width {head}; how rotary axes share it is known for 128", hint=CONFIG_HINT
        )
    spelling, spell = ("Black Forest Labs (double_blocks)", _by_rules(FLUX_RULES)) if original else ("diffusers", _same)
    return _guess(keys, "FluxTransformer2DModel", derived, {"axes_dims_rope": [16, 56, 56]}, spelling, spell)


def recognise_pixart(keys: Keys) -> Guess | None:
    """The guess of PixArtTransformer2DModel in diffusers' spelling, or None."""
    if "adaln_single.linear.weight" not in keys or "caption_projection.linear_1.weight" not in keys:
        return None
    if "pos_embed.proj.weight" not in keys or len(keys.shape("pos_embed.proj.weight")) != 4:
        return None
    width, patch = keys.dim("pos_embed.proj.weight", 0), keys.dim("pos_embed.proj.weight", 2)
    if width != 1152:
        raise UnknownArchitectureError(
            f"{keys.what} is a PixArt of width {width}; head counts are known for 1152", hint=CONFIG_HINT
        )
    extra = keys.any(r"^adaln_single\.emb\.resolution_embedder\.")
    derived: Config = {
        "patch_size": patch,
        "in_channels": keys.dim("pos_embed.proj.weight", 1),
        "out_channels": keys.dim("proj_out.weight", 0) // (patch * patch),
        "num_layers": keys.count(r"transformer_blocks\.(\d+)\."),
        "cross_attention_dim": keys.dim("transformer_blocks.0.attn2.to_k.weight", 1),
        "caption_channels": keys.dim("caption_projection.linear_1.weight", 1),
        "use_additional_conditions": extra,
    }
    heads = {"num_attention_heads": 16, "attention_head_dim": 72, "sample_size": 128 if extra else 64}
    return _guess(keys, "PixArtTransformer2DModel", derived, heads, "diffusers", _same)


def recognise_uvit(keys: Keys) -> Guess | None:
    """The guess of UVit2DModel (aMUSEd), or None; only the shipped sizes, whose head counts are published."""
    if "mlm_layer.conv1.weight" not in keys or "project_to_hidden.weight" not in keys:
        return None
    halved = keys.any(r"^down_block\.downsample\.")
    fits = [item for item in shipped() if item.class_name == "UVit2DModel" and item.config["downsample"] is halved]
    first = fits[0]
    note = f"head counts and sample_size {first.config['sample_size']} taken from {first.name}"
    return Guess("UVit2DModel", dict(first.config), "diffusers", _same, first.name, (note,))
