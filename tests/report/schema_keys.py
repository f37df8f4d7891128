"""The keys of a JSON layout, as docs/json_schema.md writes them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

DOC = Path(__file__).parents[2] / "docs" / "json_schema.md"
NAMED = frozenset({"bindings", "weight_bytes", "symbols", "scaling", "categories", "roles", "facts", "operators"})
"""Objects of most reports whose keys are names of the model's, not of the layout."""


def keys(value: Any, named: Collection[str] = NAMED, path: str = "") -> set[str]:
    """Every key as a path: "stages[].attention[].kind"; "*" stands for those of objects called one of `named`, whose
    keys are names of the model's and not of the layout."""
    if isinstance(value, list):
        return {key for item in value for key in keys(item, named, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for name, item in value.items():
        inner = f"{path}.*" if path.split(".")[-1] in named else f"{path}.{name}".lstrip(".")
        found |= {inner} | keys(item, named, inner)
    return found
