"""Configurations that take no time."""

from __future__ import annotations

from typing import Any

from graphlab.erase.jobs.config import EraseConfig, erase_config, merged
from graphlab.erase.sources.source import ErasureSource

QUICK: dict[str, Any] = {
    "concepts": ["three"],
    "maps": {"seeds": [0, 1], "draws": 2, "steps": 4, "batch": 2, "boundary": -2.0},
    "training": {"iterations": 4, "save_every": 1, "path": {"steps": 4, "batch": 2, "boundary": -2.0}},
}


def quick(source: ErasureSource, changes: dict[str, Any] | None = None) -> EraseConfig:
    return erase_config(source, merged(QUICK, changes or {}))
