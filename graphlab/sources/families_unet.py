"""U-Nets and autoencoders of Stable Diffusion: configuration from keys and shapes, in both spellings."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.guess import CONFIG_HINT, Config, Guess, Keys, settle
from graphlab.sources.spellings import Shape, Shapes, compvis_unet, compvis_vae

_CLASS = "UNet2DConditionModel"
_WIDE_HEADS = 64
"""Channels of a head in Stable Diffusion 2.x and XL; 1.x has 8 heads at every width."""


@dataclass(frozen=True, slots=True)
class _Spelling:
    """Where the two spellings keep what the configuration is read from; {i} is a block, {j} its resnet."""

    name: str
    conv_in: str
    conv_out: str
    add_embedding: str
    middle: str


_DIFFUSERS = _Spelling(
    "diffusers", "conv_in.weight", "conv_out.weight", "add_embedding.linear_1.weight", "mid_block.attentions.0"
)
_COMPVIS = _Spelling("CompVis", "input_blocks.0.0.weight", "out.2.weight", "label_emb.0.0.weight", "middle_block.1")


def recognise_unet(keys: Keys) -> Guess | None:
    """The guess of UNet2DConditionModel, or None when the keys are not those of a conditional U-Net."""
    if "conv_in.weight" in keys and keys.any(r"^down_blocks\.0\.resnets\.0\.") and keys.any(r"^up_blocks\.0\."):
        return _unet(keys, _DIFFUSERS)
    if "input_blocks.0.0.weight" in keys and keys.any(r"^middle_block\.0\.") and keys.any(r"^output_blocks\."):
        return _unet(keys, _COMPVIS)
    return None


def _down(keys: Keys, spelling: _Spelling, block: int, layers: int, item: int) -> tuple[str, str]:
    """(resnet, attention) prefixes of resnet `item` of down block `block`."""
    if spelling is _DIFFUSERS:
        return f"down_blocks.{block}.resnets.{item}", f"down_blocks.{block}.attentions.{item}"
    place = 1 + block * (layers + 1) + item
    return f"input_blocks.{place}.0", f"input_blocks.{place}.1"


def _unet(keys: Keys, spelling: _Spelling) -> Guess:
    blocks, layers = _blocks_and_layers(keys, spelling)
    conv1 = "conv1.weight" if spelling is _DIFFUSERS else "in_layers.2.weight"
    widths, depths = [], []
    for block in range(blocks):
        resnet, attention = _down(keys, spelling, block, layers, 0)
        widths.append(keys.dim(f"{resnet}.{conv1}", 0))
        depths.append(keys.count(attention.replace(".", r"\.") + r"\.transformer_blocks\.(\d+)\."))
    middle = keys.count(spelling.middle.replace(".", r"\.") + r"\.transformer_blocks\.(\d+)\.")
    if middle == 0:
        raise UnknownArchitectureError(f"{keys.what} is a U-Net without text attention in its middle", hint=CONFIG_HINT)
    cross = keys.dim(f"{spelling.middle}.transformer_blocks.0.attn2.to_k.weight", 1)
    derived: Config = {
        "in_channels": keys.dim(spelling.conv_in, 1),
        "out_channels": keys.dim(spelling.conv_out, 0),
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)],
        "transformer_layers_per_block": _depths(depths, middle),
        "cross_attention_dim": cross,
        "use_linear_projection": len(keys.shape(f"{spelling.middle}.proj_in.weight")) == 2,
    }
    if spelling.add_embedding in keys:
        derived |= {
            "addition_embed_type": "text_time",
            "projection_class_embeddings_input_dim": keys.dim(spelling.add_embedding, 1),
        }
    return _settled(keys, derived, spelling, layers, depths)


def _blocks_and_layers(keys: Keys, spelling: _Spelling) -> tuple[int, int]:
    if spelling is _DIFFUSERS:
        return keys.count(r"down_blocks\.(\d+)\."), keys.count(r"down_blocks\.0\.resnets\.(\d+)\.")
    halvings = [i for i in range(1, keys.count(r"input_blocks\.(\d+)\.")) if f"input_blocks.{i}.0.op.weight" in keys]
    if not halvings or halvings[0] < 2:
        raise UnknownArchitectureError(f"{keys.what} is a U-Net without downsampling", hint=CONFIG_HINT)
    return len(halvings) + 1, halvings[0] - 1


def _depths(depths: list[int], middle: int) -> int | list[int]:
    """transformer_layers_per_block: the class takes the middle's from the last block, attention there or not."""
    filled = [depth or 1 for depth in depths[:-1]] + [depths[-1] or middle]
    if middle > 1 and not depths[-1]:  # the refiner states one number for all blocks
        filled = [depth or middle for depth in depths]
    return 1 if set(filled) == {1} else filled


def _settled(keys: Keys, derived: Config, spelling: _Spelling, layers: int, depths: list[int]) -> Guess:
    settled = settle(_CLASS, derived, loose=("in_channels", "out_channels"))
    if settled is None:
        settled = _by_rule(keys, derived)
    config, name, assumptions = settled
    spell = _same if spelling is _DIFFUSERS else compvis_unet(layers, [depth > 0 for depth in reversed(depths)])
    return Guess(_CLASS, config, spelling.name, spell, name, assumptions)


def _by_rule(keys: Keys, derived: Config) -> tuple[Config, str, tuple[str, ...]]:
    """Head counts by the family's rule, for pruned or widened relatives of a shipped model."""
    cross, widths = derived["cross_attention_dim"], derived["block_out_channels"]
    families = {768: "stable-diffusion-v1", 1024: "stable-diffusion-2", 1280: "SDXL refiner", 2048: "SDXL"}
    if cross not in families or any(width % _WIDE_HEADS for width in widths):
        raise UnknownArchitectureError(
            f"{keys.what} is a U-Net of channels {widths} with text width {cross}, which fits no shipped "
            "configuration: its head counts cannot be told from shapes",
            hint=CONFIG_HINT,
        )
    heads = 8 if cross == 768 else [width // _WIDE_HEADS for width in widths]
    side = {768: 64, 1024: 96}.get(cross, 128)
    extra = {"addition_time_embed_dim": 256} if "addition_embed_type" in derived else {}
    note = f"no shipped model has these shapes; heads {heads} and sample_size {side} by the rule of {families[cross]}"
    return (
        {**derived, **extra, "attention_head_dim": heads, "sample_size": side},
        f"{families[cross]} relative",
        (note,),
    )


def _same(shapes: Shapes) -> Shapes:
    return shapes


def recognise_vae(keys: Keys) -> Guess | None:
    """The guess of AutoencoderKL, or None."""
    if "decoder.conv_in.weight" not in keys or "encoder.conv_in.weight" not in keys:
        return None
    if len(keys.shape("decoder.conv_in.weight")) != 4 or keys.any(r"^quantize\."):
        return None
    diffusers = keys.any(r"^decoder\.up_blocks\.")
    block = r"encoder\.down_blocks\.(\d+)\." if diffusers else r"encoder\.down\.(\d+)\."
    blocks = keys.count(block)
    first = "encoder.down_blocks.{}.resnets.0.conv1.weight" if diffusers else "encoder.down.{}.block.0.conv1.weight"
    layers = keys.count(
        r"encoder\.down_blocks\.0\.resnets\.(\d+)\." if diffusers else r"encoder\.down\.0\.block\.(\d+)\."
    )
    derived: Config = {
        "in_channels": keys.dim("encoder.conv_in.weight", 1),
        "out_channels": keys.dim("decoder.conv_out.weight", 0),
        "down_block_types": ["DownEncoderBlock2D"] * blocks,
        "up_block_types": ["UpDecoderBlock2D"] * blocks,
        "block_out_channels": [keys.dim(first.format(i), 0) for i in range(blocks)],
        "layers_per_block": layers,
        "latent_channels": keys.dim("decoder.conv_in.weight", 1),
        "use_quant_conv": "quant_conv.weight" in keys,
        "use_post_quant_conv": "post_quant_conv.weight" in keys,
    }
    settled = settle("AutoencoderKL", derived)
    if settled is None:
        side = 64 * 2 ** (blocks - 1)
        note = f"no shipped autoencoder has these shapes; sample_size {side} assumed (64 latent positions a side)"
        settled = {**derived, "sample_size": side}, "AutoencoderKL relative", (note,)
    config, name, assumptions = settled
    if not diffusers:
        return Guess("AutoencoderKL", config, "CompVis", compvis_vae(blocks), name, assumptions)
    old = keys.any(r"\.attentions\.0\.proj_attn\.")
    spelling = "diffusers before 0.15" if old else "diffusers"
    return Guess("AutoencoderKL", config, spelling, _old_attention if old else _same, name, assumptions)


def _old_attention(shapes: Shapes) -> dict[str, Shape]:
    """diffusers before 0.15 called the autoencoder's attention query, key, value and proj_attn."""
    names = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))
    found: dict[str, Shape] = {}
    for key, shape in shapes.items():
        for new, old in names:
            key = key.replace(f".attentions.0.{new}.", f".attentions.0.{old}.")
        found[key] = shape
    return found
