"""Keys of a class's state dict as other code bases spell them, from published layouts of their modules.

Each function takes {key: shape} of the diffusers or transformers class and gives what a file of the other
spelling must hold, so that a checkpoint can be compared key by key and shape by shape. Keys that meet under
one name were fused along axis 0 (q, k and v into qkv).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Mapping[str, Shape]
Rules: TypeAlias = Sequence[tuple[str, str | None]]
"""(pattern of a whole key, its replacement); None drops the key; the first match counts."""


def respell(shapes: Shapes, rules: Rules) -> dict[str, Shape]:
    """`shapes` under new names; a key that no rule knows keeps its name."""
    compiled = [(re.compile(pattern), new) for pattern, new in rules]
    found: dict[str, Shape] = {}
    for key, shape in shapes.items():
        name: str | None = key
        for pattern, new in compiled:
            match = pattern.fullmatch(key)
            if match:
                name = None if new is None else match.expand(new)
                break
        if name is None:
            continue
        if name in found:
            shape = (found[name][0] + shape[0], *shape[1:])
        found[name] = shape
    return found


_END = r"\.(weight|bias)"
_QKV = r"to_[qkv]"
DIT_RULES: Rules = (
    (r"pos_embed\.proj" + _END, r"x_embedder.proj.\1"),
    (r"transformer_blocks\.0\.norm1\.emb\.timestep_embedder\.linear_1" + _END, r"t_embedder.mlp.0.\1"),
    (r"transformer_blocks\.0\.norm1\.emb\.timestep_embedder\.linear_2" + _END, r"t_embedder.mlp.2.\1"),
    (
        r"transformer_blocks\.0\.norm1\.emb\.class_embedder\.embedding_table\.weight",
        "y_embedder.embedding_table.weight",
    ),
    (r"transformer_blocks\.\d+\.norm1\.emb\..*", None),  # diffusers keeps a copy of both embedders in every block
    (r"transformer_blocks\.(\d+)\.norm1\.linear" + _END, r"blocks.\1.adaLN_modulation.1.\2"),
    (rf"transformer_blocks\.(\d+)\.attn1\.{_QKV}" + _END, r"blocks.\1.attn.qkv.\2"),
    (r"transformer_blocks\.(\d+)\.attn1\.to_out\.0" + _END, r"blocks.\1.attn.proj.\2"),
    (r"transformer_blocks\.(\d+)\.ff\.net\.0\.proj" + _END, r"blocks.\1.mlp.fc1.\2"),
    (r"transformer_blocks\.(\d+)\.ff\.net\.2" + _END, r"blocks.\1.mlp.fc2.\2"),
    (r"proj_out_1" + _END, r"final_layer.adaLN_modulation.1.\1"),
    (r"proj_out_2" + _END, r"final_layer.linear.\1"),
)
_BLOCK = r"transformer_blocks\.(\d+)\."
SD3_RULES: Rules = (
    (r"pos_embed\.proj" + _END, r"x_embedder.proj.\1"),
    (r"pos_embed\.pos_embed", "pos_embed"),
    (r"time_text_embed\.timestep_embedder\.linear_1" + _END, r"t_embedder.mlp.0.\1"),
    (r"time_text_embed\.timestep_embedder\.linear_2" + _END, r"t_embedder.mlp.2.\1"),
    (r"time_text_embed\.text_embedder\.linear_1" + _END, r"y_embedder.mlp.0.\1"),
    (r"time_text_embed\.text_embedder\.linear_2" + _END, r"y_embedder.mlp.2.\1"),
    (_BLOCK + r"norm1\.linear" + _END, r"joint_blocks.\1.x_block.adaLN_modulation.1.\2"),
    (_BLOCK + r"norm1_context\.linear" + _END, r"joint_blocks.\1.context_block.adaLN_modulation.1.\2"),
    (_BLOCK + rf"(attn2?)\.{_QKV}" + _END, r"joint_blocks.\1.x_block.\2.qkv.\3"),
    (_BLOCK + r"attn\.add_[qkv]_proj" + _END, r"joint_blocks.\1.context_block.attn.qkv.\2"),
    (_BLOCK + r"(attn2?)\.to_out\.0" + _END, r"joint_blocks.\1.x_block.\2.proj.\3"),
    (_BLOCK + r"attn\.to_add_out" + _END, r"joint_blocks.\1.context_block.attn.proj.\2"),
    (_BLOCK + r"(attn2?)\.norm_([qk])" + _END, r"joint_blocks.\1.x_block.\2.ln_\3.\4"),
    (_BLOCK + r"attn\.norm_added_([qk])" + _END, r"joint_blocks.\1.context_block.attn.ln_\2.\3"),
    (_BLOCK + r"ff\.net\.0\.proj" + _END, r"joint_blocks.\1.x_block.mlp.fc1.\2"),
    (_BLOCK + r"ff\.net\.2" + _END, r"joint_blocks.\1.x_block.mlp.fc2.\2"),
    (_BLOCK + r"ff_context\.net\.0\.proj" + _END, r"joint_blocks.\1.context_block.mlp.fc1.\2"),
    (_BLOCK + r"ff_context\.net\.2" + _END, r"joint_blocks.\1.context_block.mlp.fc2.\2"),
    (r"norm_out\.linear" + _END, r"final_layer.adaLN_modulation.1.\1"),
    (r"proj_out" + _END, r"final_layer.linear.\1"),
)
_SINGLE = r"single_transformer_blocks\.(\d+)\."
FLUX_RULES: Rules = (
    (r"time_text_embed\.timestep_embedder\.linear_1" + _END, r"time_in.in_layer.\1"),
    (r"time_text_embed\.timestep_embedder\.linear_2" + _END, r"time_in.out_layer.\1"),
    (r"time_text_embed\.guidance_embedder\.linear_1" + _END, r"guidance_in.in_layer.\1"),
    (r"time_text_embed\.guidance_embedder\.linear_2" + _END, r"guidance_in.out_layer.\1"),
    (r"time_text_embed\.text_embedder\.linear_1" + _END, r"vector_in.in_layer.\1"),
    (r"time_text_embed\.text_embedder\.linear_2" + _END, r"vector_in.out_layer.\1"),
    (r"context_embedder" + _END, r"txt_in.\1"),
    (r"x_embedder" + _END, r"img_in.\1"),
    (_SINGLE + r"norm\.linear" + _END, r"single_blocks.\1.modulation.lin.\2"),
    (_SINGLE + rf"(?:attn\.{_QKV}|proj_mlp)" + _END, r"single_blocks.\1.linear1.\2"),
    (_SINGLE + r"proj_out" + _END, r"single_blocks.\1.linear2.\2"),
    (_SINGLE + r"attn\.norm_q\.weight", r"single_blocks.\1.norm.query_norm.scale"),
    (_SINGLE + r"attn\.norm_k\.weight", r"single_blocks.\1.norm.key_norm.scale"),
    (_BLOCK + r"norm1\.linear" + _END, r"double_blocks.\1.img_mod.lin.\2"),
    (_BLOCK + r"norm1_context\.linear" + _END, r"double_blocks.\1.txt_mod.lin.\2"),
    (_BLOCK + rf"attn\.{_QKV}" + _END, r"double_blocks.\1.img_attn.qkv.\2"),
    (_BLOCK + r"attn\.add_[qkv]_proj" + _END, r"double_blocks.\1.txt_attn.qkv.\2"),
    (_BLOCK + r"attn\.to_out\.0" + _END, r"double_blocks.\1.img_attn.proj.\2"),
    (_BLOCK + r"attn\.to_add_out" + _END, r"double_blocks.\1.txt_attn.proj.\2"),
    (_BLOCK + r"attn\.norm_q\.weight", r"double_blocks.\1.img_attn.norm.query_norm.scale"),
    (_BLOCK + r"attn\.norm_k\.weight", r"double_blocks.\1.img_attn.norm.key_norm.scale"),
    (_BLOCK + r"attn\.norm_added_q\.weight", r"double_blocks.\1.txt_attn.norm.query_norm.scale"),
    (_BLOCK + r"attn\.norm_added_k\.weight", r"double_blocks.\1.txt_attn.norm.key_norm.scale"),
    (_BLOCK + r"ff\.net\.0\.proj" + _END, r"double_blocks.\1.img_mlp.0.\2"),
    (_BLOCK + r"ff\.net\.2" + _END, r"double_blocks.\1.img_mlp.2.\2"),
    (_BLOCK + r"ff_context\.net\.0\.proj" + _END, r"double_blocks.\1.txt_mlp.0.\2"),
    (_BLOCK + r"ff_context\.net\.2" + _END, r"double_blocks.\1.txt_mlp.2.\2"),
    (r"norm_out\.linear" + _END, r"final_layer.adaLN_modulation.1.\1"),
    (r"proj_out" + _END, r"final_layer.linear.\1"),
)
_LAYER = r"(?:text_model\.)?encoder\.layers\.(\d+)\."
OPENCLIP_RULES: Rules = (
    (r"(?:text_model\.)?embeddings\.token_embedding\.weight", "token_embedding.weight"),
    (r"(?:text_model\.)?embeddings\.position_embedding\.weight", "positional_embedding"),
    (_LAYER + r"self_attn\.[qkv]_proj\.(weight|bias)", r"transformer.resblocks.\1.attn.in_proj_\2"),
    (_LAYER + r"self_attn\.out_proj" + _END, r"transformer.resblocks.\1.attn.out_proj.\2"),
    (_LAYER + r"layer_norm([12])" + _END, r"transformer.resblocks.\1.ln_\2.\3"),
    (_LAYER + r"mlp\.fc1" + _END, r"transformer.resblocks.\1.mlp.c_fc.\2"),
    (_LAYER + r"mlp\.fc2" + _END, r"transformer.resblocks.\1.mlp.c_proj.\2"),
    (r"(?:text_model\.)?final_layer_norm" + _END, r"ln_final.\1"),
    (r"text_projection\.weight", "text_projection"),
)


def compvis_unet(layers: int, attention: Sequence[bool]) -> Callable[[Shapes], dict[str, Shape]]:
    """Spelling of the CompVis and Stability U-Nets; `layers` a block, `attention` whether an up block has any."""
    group = layers + 1

    def spell(shapes: Shapes) -> dict[str, Shape]:
        return {_compvis_unet_key(key, group, attention): shape for key, shape in shapes.items()}

    return spell


_UNET_PLACES: Sequence[tuple[str, Callable[[int, int, int, Sequence[bool]], str]]] = (
    (r"down_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", lambda i, j, g, a: f"input_blocks.{1 + i * g + j}.0"),
    (r"down_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", lambda i, j, g, a: f"input_blocks.{1 + i * g + j}.1"),
    (r"down_blocks\.(\d+)\.downsamplers\.(0)\.conv\.(.*)", lambda i, j, g, a: f"input_blocks.{(i + 1) * g}.0.op"),
    (r"up_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", lambda i, j, g, a: f"output_blocks.{i * g + j}.0"),
    (r"up_blocks\.(\d+)\.attentions\.(\d+)\.(.*)", lambda i, j, g, a: f"output_blocks.{i * g + j}.1"),
    (
        r"up_blocks\.(\d+)\.upsamplers\.(0)\.(.*)",
        lambda i, j, g, a: f"output_blocks.{i * g + g - 1}.{2 if a[i] else 1}",
    ),
    (r"mid_block\.(resnets)\.(\d+)\.(.*)", lambda i, j, g, a: f"middle_block.{2 * j}"),
    (r"mid_block\.(attentions)\.(\d+)\.(.*)", lambda i, j, g, a: "middle_block.1"),
)
_UNET_ENDS: Rules = (
    (r"time_embedding\.linear_1" + _END, r"time_embed.0.\1"),
    (r"time_embedding\.linear_2" + _END, r"time_embed.2.\1"),
    (r"add_embedding\.linear_1" + _END, r"label_emb.0.0.\1"),
    (r"add_embedding\.linear_2" + _END, r"label_emb.0.2.\1"),
    (r"conv_in" + _END, r"input_blocks.0.0.\1"),
    (r"conv_norm_out" + _END, r"out.0.\1"),
    (r"conv_out" + _END, r"out.2.\1"),
)
_UNET_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip


def _compvis_unet_key(key: str, group: int, attention: Sequence[bool]) -> str:
    for pattern, place in _UNET_PLACES:
        match = re.fullmatch(pattern, key)
        if match:
            block = int(match[1]) if match[1].isdecimal() else 0
            part, _, rest = match[3].partition(".")
            part = _UNET_RESNET.get(part, part) if "resnets" in key else part
            return ".".join(filter(None, [place(block, int(match[2]), group, attention), part, rest]))
    for pattern, new in _UNET_ENDS:
        match = re.fullmatch(pattern, key)
        if match:
            return match.expand(new or "")
    return key


def compvis_vae(blocks: int) -> Callable[[Shapes], dict[str, Shape]]:
    """Spelling of the CompVis autoencoder of `blocks` resolutions, whose attention is 1 x 1 convolutions."""

    def spell(shapes: Shapes) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        for key, shape in shapes.items():
            name = _compvis_vae_key(key, blocks)
            convolution = ".mid.attn_1." in name and name.endswith(".weight") and ".norm." not in name
            found[name] = (*shape, 1, 1) if convolution else shape
        return found

    return spell


def _compvis_vae_key(key: str, blocks: int) -> str:
    match = re.fullmatch(
        r"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.*)", key
    )
    if match:
        side, block, kind, item, rest = match[1], int(match[2]), match[3], match[4], match[5]
        place = f"encoder.down.{block}" if side == "encoder" else f"decoder.up.{blocks - 1 - block}"
        if kind == "resnets":
            return f"{place}.block.{item}.{rest.replace('conv_shortcut', 'nin_shortcut')}"
        return f"{place}.{'downsample' if side == 'encoder' else 'upsample'}.{rest}"
    key = re.sub(r"\.mid_block\.resnets\.(\d)\.", lambda m: f".mid.block_{int(m[1]) + 1}.", key)
    key = re.sub(r"\.mid_block\.attentions\.0\.", ".mid.attn_1.", key)
    for old, new in (("group_norm", "norm"), ("to_out.0", "proj_out"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v")):
        key = key.replace(f".attn_1.{old}.", f".attn_1.{new}.")
    return key.replace("conv_norm_out", "norm_out")
