"""Low-rank changes through peft: W + s B A while training, put into W at the end, where a mask allows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.config import LoraConfig
from graphlab.erase.training.masking import Masks
from graphlab.erase.training.parameters import chosen

ADAPTER = "erase"


def add_lora(module: nn.Module, which: str, config: LoraConfig, masks: Masks | None) -> dict[str, nn.Parameter]:
    """{name: parameter} of the low-rank factors added, in place, to the layers whose weight is meant by `which`.

    Layers are linear ones and convolutions; with `masks`, those with an entry set. A starts random, from torch's global
    generator, B at 0, so nothing changes yet. EraseError where peft is missing or there is no such layer.
    """
    try:
        peft: Any = import_module("peft")
    except ImportError as error:
        raise EraseError(
            "low-rank training needs peft, which is not installed", hint="pip install 'graphlab[erase]'"
        ) from error
    names = [name for name in _layers(module, which) if masks is None or _some(masks, f"{name}.weight")]
    if not names:
        raise EraseError(f"{which!r} names no linear layer and no convolution that may change")
    asked = peft.LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules="|".join(map(re.escape, names)), lora_dropout=0.0
    )
    peft.inject_adapter_in_model(asked, module, adapter_name=ADAPTER)
    return {name: parameter for name, parameter in module.named_parameters() if f".{ADAPTER}." in name}


def merge_lora(module: nn.Module, masks: Masks | None) -> dict[str, torch.Tensor]:
    """Puts W + M (s B A) into every changed layer and takes the factors away; M is 1 without `masks`.

    Outside a mask a weight keeps its bits: it is not added to. The result is {layer.lora_A.weight, layer.lora_B.weight}
    on the CPU with s inside B, as diffusers' `load_lora_adapter` reads them; it knows nothing of masks.
    """
    factors: dict[str, torch.Tensor] = {}
    for name, layer in _adapted(module).items():
        weight = layer.get_base_layer().weight
        factors[f"{name}.lora_A.weight"] = layer.lora_A[ADAPTER].weight.detach().cpu().clone()
        factors[f"{name}.lora_B.weight"] = (layer.scaling[ADAPTER] * layer.lora_B[ADAPTER].weight.detach()).cpu()
        with torch.no_grad():
            made = weight + layer.get_delta_weight(ADAPTER).to(weight.dtype)
            if masks is not None:
                made = torch.where(masks[f"{name}.weight"].to(weight.device), made, weight)
            weight.copy_(made)
    remove_lora(module)
    return factors


def remove_lora(module: nn.Module) -> None:
    """Takes the factors away and leaves the weights as they are."""
    for name, layer in _adapted(module).items():
        module.set_submodule(name, layer.get_base_layer())
    module.__dict__.pop("peft_config", None)


def _layers(module: nn.Module, which: str) -> list[str]:
    fits = chosen(which)
    kinds = (nn.Linear, nn.Conv2d)
    return [name for name, layer in module.named_modules() if isinstance(layer, kinds) and fits(f"{name}.weight")]


def _some(masks: Mapping[str, torch.Tensor], key: str) -> bool:
    return key in masks and bool(masks[key].any())


def _adapted(module: nn.Module) -> dict[str, Any]:
    try:
        kind: Any = import_module("peft.tuners.lora").LoraLayer
    except ImportError:
        return {}
    return {
        name: layer for name, layer in module.named_modules() if isinstance(layer, kind) and ADAPTER in layer.lora_A
    }
