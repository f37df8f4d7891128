"""The history of a program, kept with its nodes so that a saved `.pt2` remembers it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphlab.sources.module import HISTORY, saved_history

__all__ = ["CHANGED_WEIGHTS", "saved_history", "with_history"]

CHANGED_WEIGHTS = "changes weights"
"""What the entry of a pass ends with that made new weights: masks for the original ones no longer fit."""


def with_history(graph: torch.fx.Graph, entries: Sequence[str], origin: torch.fx.Graph) -> None:
    """Writes `entries` on the first call of `graph`, whose metadata torch saves, and what `origin` says of itself."""
    first = next((node for node in graph.nodes if node.op == "call_function"), None)
    if first is None or not entries:
        return
    custom: dict[str, object] = {}
    for node in origin.nodes:  # the node that held it may be gone from `graph`
        found = node.meta.get("custom") or {}
        custom.update({key: value for key, value in found.items() if str(key).startswith("graphlab_")})
    first.meta["custom"] = {**(first.meta.get("custom") or {}), **custom, HISTORY: list(entries)}
