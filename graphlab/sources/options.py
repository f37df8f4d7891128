"""How a source is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How to read a source: a configuration for weights alone, trust in pickles, shapes of inputs ("2x4:float16")."""

    config: Path | None = None
    trust_pickle: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict)
    dynamic: bool = True
