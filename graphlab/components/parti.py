"""Parti's encoder and decoder: start token, one token with a cache, and the whole prefix without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import Argument, Size, TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("PartiEncoder")
def parti_encoder(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens) -> states (batch, tokens, d_model)."""
    return _component("PartiEncoder", config, dtype, {"input_ids": _ids("tokens")})


@component("PartiPrefill")
def parti_prefill(config: Config, dtype: str) -> Component:
    """input_ids (batch, 1), encoder_hidden_states (batch, tokens, d_model) -> logits and both caches."""
    return _component("PartiPrefill", config, dtype, {"input_ids": _ids(1), **_states(config, dtype)})


@component("PartiDecode")
def parti_decode(config: Config, dtype: str) -> Component:
    """input_ids (batch, 1), past and text {key_i, value_i: (batch, heads, cache or tokens, head width)}."""
    heads = int(config["heads"])

    def cache(length: str) -> dict[str, Argument]:
        shape = ("batch", heads, length, int(config["d_model"]) // heads)
        names = (f"{part}_{i}" for i in range(int(config["decoder_layers"])) for part in ("key", "value"))
        return {name: TensorInput(shape, dtype, role="cache") for name in names}

    inputs: dict[str, Argument] = {"input_ids": _ids(1), "past": cache("cache"), "text": cache("tokens")}
    return _component("PartiDecode", config, dtype, inputs)


@component("PartiDecodeWithoutCache")
def parti_decode_without_cache(config: Config, dtype: str) -> Component:
    """input_ids (batch, prefix), encoder_hidden_states (batch, tokens, d_model) -> logits (batch, 1, codes)."""
    return _component("PartiDecodeWithoutCache", config, dtype, {"input_ids": _ids("prefix"), **_states(config, dtype)})


def _component(class_name: str, config: Config, dtype: str, inputs: dict[str, Argument]) -> Component:
    def build() -> torch.nn.Module:
        from graphlab.architectures import parti

        return build_on_meta(lambda: getattr(parti, class_name)(config), dtype)

    longest = int(config["text_tokens"])
    return Component(
        class_name=class_name,
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            Variable("batch", 1, "images per generation"),
            Variable("tokens", longest, "text tokens, padding included", maximum=longest),
        ),
    )


def _ids(length: Size) -> TensorInput:
    return TensorInput(("batch", length), "int64", role="tokens")


def _states(config: Config, dtype: str) -> dict[str, Argument]:
    return {"encoder_hidden_states": TensorInput(("batch", "tokens", int(config["d_model"])), dtype, role="text")}
