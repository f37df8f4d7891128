"""What a weight of a diffusers U-Net does, told by its key: good enough for a table without a captured graph.

The analysis `mask-placement` tells it from data flow, for any spelling of a model (docs/masks.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphlab.erase.saliency.density import DensityRow

OTHER = "other"
_BY_PART = (
    ("attn2", "cross-attention"),
    ("attn1", "self-attention"),
    ("ff", "feed-forward"),
    ("time_embedding", "time embedding"),
    ("time_emb_proj", "time embedding"),
    ("downsamplers", "resampling"),
    ("upsamplers", "resampling"),
    ("conv_in", "first convolution"),
    ("conv_out", "last convolution"),
    ("conv_shortcut", "convolution"),
    ("conv1", "convolution"),
    ("conv2", "convolution"),
    ("proj_in", "projection"),
    ("proj_out", "projection"),
)
_PROJECTIONS = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out": "output"}


@dataclass(frozen=True, slots=True)
class RoleRow:
    """All weights of a `role`: `kept` of their `entries` are set."""

    role: str
    weights: int
    entries: int
    kept: int

    @property
    def density(self) -> float:
        """Share of the entries that are set, 0 to 1."""
        return self.kept / self.entries


def role_of(key: str) -> str:
    """The role of a weight: "cross-attention key", "convolution", "norm", ...; OTHER for a name without one."""
    parts = key.split(".")
    if any("norm" in part for part in parts):
        return "norm"
    role = next((role for part, role in _BY_PART if part in parts), OTHER)
    if role.endswith("attention"):
        made = next((name for part, name in _PROJECTIONS.items() if part in parts), "")
        return f"{role} {made}".rstrip()
    return role


def by_role(rows: Iterable[DensityRow]) -> tuple[RoleRow, ...]:
    """A row for every role of some weights, in the order in which the weights come first."""
    found: dict[str, list[DensityRow]] = {}
    for row in rows:
        found.setdefault(role_of(row.key), []).append(row)
    return tuple(
        RoleRow(role, len(group), sum(row.entries for row in group), sum(row.kept for row in group))
        for role, group in found.items()
    )
