"""What analyses say about a graph: frozen values keyed by node name, shared by passes and reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphlab.graph import Dim
from graphlab.ops.lineage import Axes

ROLES = (
    "attention_core", "attention_projection", "feed_forward", "residual_block", "time_embedding",
    "text_projection", "input_output", "other",
)  # fmt: skip

MEANINGS = ("batch", "height", "width", "frames", "tokens")
"""What an input axis can be: told from what convolutions, resampling, attention and the batch act on."""


@dataclass(frozen=True, slots=True)
class AxisFacts:
    """`axes`: {node: lineage of each output}. `meaning`: {input axis such as "sample.d2": one of MEANINGS};
    an axis whose meaning the data flow does not show is absent."""

    axes: Mapping[str, tuple[Axes, ...]]
    meaning: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AttentionSite:
    """One attention: where it is and what it attends over.

    `node` anchors it (the fused op, or the softmax). `members` are the nodes it is made of, in order;
    `contractions` those that multiply. `score_members` are the members whose output is a score matrix
    (batch, heads, q, k) that a fused kernel would not write. `query`, `key` and `value` name the operands,
    `mask` the additive or boolean mask or None. Sizes are dims of the graph it was read from.
    """

    node: str
    members: tuple[str, ...]
    contractions: tuple[str, ...]
    score_members: tuple[str, ...]
    query: str
    key: str
    value: str
    mask: str | None
    fused: bool
    kind: str | None
    axis: str | None
    causal: bool | None
    heads: int | None
    q_dim: int
    k_dim: int


@dataclass(frozen=True, slots=True)
class PlacedWeight:
    """A weight of a mask and its place: `set_entries` of `entries` may change.

    `layer` is the path of the module that uses it, `role` that of the call. `kind` is the kind of the attention whose
    projection or norm it is, and `part` which ("query", "key", "value", "output", joined with + where it is several);
    None for a weight of no attention. `score` is the mean saliency of its entries, in the units of the mask's own
    score; None where the mask does not say.
    """

    key: str
    layer: str
    role: str
    kind: str | None
    part: str | None
    entries: int
    set_entries: int
    score: float | None = None

    @property
    def density(self) -> float:
        """Share of the entries that may change, 0 to 1."""
        return self.set_entries / self.entries if self.entries else 0.0


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Cost of one call: `flops` of contractions and `pointwise_flops` of the rest (None: no rule), bytes
    read and written, the bytes with attention fused, and the operator category."""

    category: str
    flops: Dim | None
    pointwise_flops: Dim | None
    bytes_read: Dim
    bytes_written: Dim

    @property
    def bytes(self) -> Dim:
        """Bytes read plus bytes written."""
        return self.bytes_read + self.bytes_written


@dataclass(frozen=True, slots=True)
class AttentionSizes:
    """Sizes of one attention under integer bindings."""

    batch: int
    heads: int | None
    q_tokens: int
    kv_tokens: int
    head_dim: int
    flops: int


@dataclass(frozen=True, slots=True)
class MemoryFacts:
    """Peak bytes of activations, the node at which the peak is reached, and the live bytes at every call.

    `at_peak` {node: bytes} are the activations alive there, the largest first: they add up to the peak. What a
    materialised attention holds beside its own result stands under the name of its node, added to that.
    """

    peak_bytes: int
    peak_node: str
    live_bytes: Mapping[str, int]
    at_peak: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AttentionTraffic:
    """Bytes one attention moves with its scores in memory and with a fused kernel, and the size of the scores."""

    materialized: Dim
    fused: Dim
    score_bytes: Dim


def known_sum(amounts: Iterable[int | None]) -> int | None:
    """The sum of the `amounts` that are known; None where there are some and none of them is.

    Where only some are None, calls without a rule, the sum is a lower bound: what shows it says how many are not in it.
    """
    found = list(amounts)
    known = [amount for amount in found if amount is not None]
    return sum(known) if known or not found else None
