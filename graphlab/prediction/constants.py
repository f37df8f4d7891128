"""The constants of the GPU time model, each with where it comes from, read from constants.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class GpuConstants:
    """Shares of published peaks and seconds of overheads; constants.toml says what each is and where it is from."""

    contraction_share: float
    convolution_share: float
    attention_share: float
    bandwidth_share: float
    kernel_seconds: float
    replay_seconds: float
    dispatch_seconds: float
    view_share: float
    tile_clocks: float
    between_operators: float
    cache_bytes_per_clock: float
    first_flash_slowdown: float
    moment_seconds: float
    attention_block_seconds: float


@lru_cache(maxsize=1)
def gpu_constants() -> GpuConstants:
    """The constants in force."""
    table = constants_table()
    return GpuConstants(**{field.name: float(table[field.name]["value"]) for field in fields(GpuConstants)})


@lru_cache(maxsize=1)
def constants_table() -> dict[str, Any]:
    """{constant: {"value", "source", "help"}}, as the documentation shows them."""
    return tomllib.loads(files("graphlab.prediction").joinpath("constants.toml").read_text())
