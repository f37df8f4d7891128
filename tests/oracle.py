"""torch's own FLOP counter as an oracle: on the meta device, where scaled_dot_product_attention decomposes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage


def oracle_flops(module: torch.nn.Module, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> int:
    """FLOP of one call of `module` (on the meta device), by FlopCounterMode under SDPBackend.MATH."""
    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        warnings.simplefilter("ignore")
        module(*args, **(kwargs or {}))
    return int(counter.get_total_flops())


def stage_oracle(stage: Stage, values: Mapping[str, int | float]) -> int:
    """FLOP of one call of `stage` under `values`."""
    assert stage.build is not None
    arguments = example_arguments(stage, values)
    if "input_ids" in arguments and arguments.get("attention_mask") is not None:
        # Outside an export transformers reads the contents of a (batch, tokens) mask, which meta tensors do not
        # have. One that is spelled out is taken as it is; neither takes part in a contraction.
        batch, tokens = arguments["input_ids"].shape
        arguments["attention_mask"] = torch.ones(batch, 1, tokens, tokens, dtype=torch.bool, device="meta")
    return oracle_flops(stage.build(), (), arguments)
