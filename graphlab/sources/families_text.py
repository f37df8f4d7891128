"""Text encoders and language models: CLIP, OpenCLIP, T5 encoders and Llama, from keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.errors import UnknownArchitectureError
from graphlab.sources.guess import CONFIG_HINT, Config, Guess, Keys, settle
from graphlab.sources.spellings import OPENCLIP_RULES, Shape, Shapes, respell

_IDS = r"(text_model\.)?embeddings\.position_ids"
_INNER = "text_model."


def _refuse(keys: Keys, family: str, sizes: str) -> UnknownArchitectureError:
    return UnknownArchitectureError(
        f"{keys.what} is a {family} of {sizes}, which fits no shipped configuration: heads cannot be told from shapes",
        hint=CONFIG_HINT,
    )


def recognise_clip(keys: Keys) -> Guess | None:
    """The guess of a CLIP text encoder in transformers' or OpenCLIP's spelling, or None."""
    if "token_embedding.weight" in keys and "transformer.resblocks.0.attn.in_proj_weight" in keys:
        return None if keys.any(r"^visual\.") else _open_clip(keys)
    prefix = _INNER if f"{_INNER}embeddings.token_embedding.weight" in keys else ""
    if f"{prefix}embeddings.token_embedding.weight" not in keys or keys.any(r"^vision_model\."):
        return None
    layer = f"{prefix}encoder.layers.0.mlp.fc1.weight"
    derived: Config = {
        "vocab_size": keys.dim(f"{prefix}embeddings.token_embedding.weight", 0),
        "hidden_size": keys.dim(f"{prefix}embeddings.token_embedding.weight", 1),
        "max_position_embeddings": keys.dim(f"{prefix}embeddings.position_embedding.weight", 0),
        "intermediate_size": keys.dim(layer, 0),
        "num_hidden_layers": keys.count(prefix.replace(".", r"\.") + r"encoder\.layers\.(\d+)\."),
    }
    projected = "text_projection.weight" in keys
    if projected:
        derived["projection_dim"] = keys.dim("text_projection.weight", 0)
    settled = settle("CLIPTextModel", derived, loose=("projection_dim", "vocab_size"))
    if settled is None:
        raise _refuse(keys, "CLIP text encoder", f"width {derived['hidden_size']}")
    config, name, assumptions = settled
    class_name = "CLIPTextModelWithProjection" if projected else "CLIPTextModel"

    def spell(shapes: Shapes) -> Mapping[str, Shape]:
        # transformers 5 dropped the text_model. that published files have, but not of the class with a projection.
        bare = {key.removeprefix(_INNER): shape for key, shape in shapes.items()}
        return {key if key.startswith("text_projection") else prefix + key: shape for key, shape in bare.items()}

    return Guess(class_name, config, "transformers", spell, name, assumptions, optional=_IDS)


def _open_clip(keys: Keys) -> Guess:
    derived: Config = {
        "vocab_size": keys.dim("token_embedding.weight", 0),
        "hidden_size": keys.dim("token_embedding.weight", 1),
        "max_position_embeddings": keys.dim("positional_embedding", 0),
        "intermediate_size": keys.dim("transformer.resblocks.0.mlp.c_fc.weight", 0),
        "num_hidden_layers": keys.count(r"transformer\.resblocks\.(\d+)\."),
    }
    if "text_projection" in keys:
        derived["projection_dim"] = keys.dim("text_projection", 1)
    settled = settle("CLIPTextModel", derived)
    if settled is None:
        raise _refuse(keys, "OpenCLIP text encoder", f"width {derived['hidden_size']}")
    config, name, assumptions = settled
    notes = (*assumptions, "pipelines that read the last but one layer do not run the last, which is counted here")
    class_name = "CLIPTextModelWithProjection" if "text_projection" in keys else "CLIPTextModel"
    return Guess(
        class_name, config, "OpenCLIP", lambda shapes: respell(shapes, OPENCLIP_RULES), name, notes, r"logit_scale"
    )


def recognise_t5(keys: Keys) -> Guess | None:
    """The guess of T5EncoderModel, or None; whole T5 models, with a decoder, are another class."""
    bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    if bias not in keys or keys.any(r"^decoder\."):
        return None
    attention, feed = "encoder.block.0.layer.0.SelfAttention.q.weight", "encoder.block.0.layer.1.DenseReluDense"
    gated = f"{feed}.wi_0.weight" in keys
    heads = keys.dim(bias, 1)
    derived: Config = {
        "vocab_size": keys.dim("shared.weight" if "shared.weight" in keys else "encoder.embed_tokens.weight", 0),
        "d_model": keys.dim(attention, 1),
        "d_kv": keys.dim(attention, 0) // heads,
        "d_ff": keys.dim(f"{feed}.wi_0.weight" if gated else f"{feed}.wi.weight", 0),
        "num_layers": keys.count(r"encoder\.block\.(\d+)\."),
        "num_heads": heads,
        "relative_attention_num_buckets": keys.dim(bias, 0),
        "feed_forward_proj": "gated-gelu" if gated else "relu",
    }
    config, name, notes = settle("T5EncoderModel", derived) or (
        {**derived, "tie_word_embeddings": False}, "T5 encoder", (),
    )  # fmt: skip
    notes = (*notes, f"feed-forward activation {derived['feed_forward_proj']}, as published T5s of these keys have")
    tied = r"shared\.weight|encoder\.embed_tokens\.weight"  # one table under two names; files keep either or both
    return Guess("T5EncoderModel", config, "transformers", lambda shapes: shapes, name, notes, tied)


def recognise_llama(keys: Keys) -> Guess | None:
    """The guess of LlamaForCausalLM, or None; only shipped sizes, since heads cannot be told from shapes."""
    query = "model.layers.0.self_attn.q_proj.weight"
    if query not in keys or "model.layers.0.mlp.gate_proj.weight" not in keys:
        return None
    tied = "lm_head.weight" not in keys
    derived: Config = {
        "hidden_size": keys.dim(query, 1),
        "intermediate_size": keys.dim("model.layers.0.mlp.gate_proj.weight", 0),
        "num_hidden_layers": keys.count(r"model\.layers\.(\d+)\."),
        "vocab_size": keys.dim("model.embed_tokens.weight", 0),
        "tie_word_embeddings": tied,
    }
    settled = settle("LlamaForCausalLM", derived)
    if settled is None:
        raise _refuse(keys, "Llama", f"width {derived['hidden_size']} and {derived['num_hidden_layers']} layers")
    config, name, assumptions = settled
    return Guess(
        "LlamaForCausalLM", config, "transformers", lambda shapes: shapes, name, assumptions,
        r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    )  # fmt: skip
