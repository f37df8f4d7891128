"""diffusers.PriorTransformer: text embedding to image embedding, of unCLIP and Kandinsky."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of PriorTransformer.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {"embedding_dim": 768, "num_embeddings": 77, "embedding_proj_dim": None}


@component("PriorTransformer")
def prior_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, embedding), proj_embedding (batch, projected), text states (batch, text, embedding).

    The number of text states is the table of positions' and so no variable. Called as in diffusers
    pipelines/deprecated/unclip/pipeline_unclip.py, with the padding of the prompt masked.
    """

    def build() -> torch.nn.Module:
        from diffusers import PriorTransformer

        return build_on_meta(lambda: PriorTransformer.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    width, text = int(known["embedding_dim"]), int(known["num_embeddings"])
    projected = int(known["embedding_proj_dim"] or width)
    return Component(
        class_name="PriorTransformer",
        dtype=dtype,
        build=build,
        inputs={
            "hidden_states": TensorInput(("batch", width), dtype, role="latent"),
            "timestep": TensorInput((), "int64", role="timestep"),
            "proj_embedding": TensorInput(("batch", projected), dtype, role="condition"),
            "encoder_hidden_states": TensorInput(("batch", text, width), dtype, role="text"),
            "attention_mask": TensorInput(("batch", text), "bool", role="mask"),
            "return_dict": False,
        },
        variables=(Variable("batch", 1, "embeddings per generation"),),
    )
