"""`Kernel`: one call as a device sees it. `StageCall`: every kernel of one forward call of a stage.

Equal kernels are kept once and counted by their order, so a U-Net of two thousand calls is a few hundred
kernels, small enough to keep on disk and to time on any device in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

VARIANTS = ("materialized", "fused", "compiled")
"""How a stage may be run: attention with its scores in memory, attention as one kernel, and fused attention with
chains of pointwise calls merged as well (what torch.compile does)."""


FAMILIES = (
    "contraction", "attention", "pointwise", "softmax", "normalization", "movement", "reduction", "lookup", "merged",
    "none",
)  # fmt: skip
"""Kinds of device kernel. "merged" is work done inside the kernel before or after it; "none" is a view."""


class Contraction(NamedTuple):
    """A product as matrix products: `batch` of them, (m, k) by (k, n); `window` positions of a convolution's kernel.

    A convolution is its implicit product: m = batch x output positions, n = output channels of one group,
    k = channels of one group x window, `batch` = groups. `window` is 0 for everything else. `spatial` counts the
    axes of a convolution that slide, `images` is its batch, which m contains.
    """

    batch: int
    m: int
    n: int
    k: int
    window: int = 0
    spatial: int = 0
    images: int = 1


class Attention(NamedTuple):
    """One attention: (batch, heads, q, width) by (batch, kv_heads, kv, width).

    `kind` is self, cross or joint and `axis` spatial, temporal or tokens, where known. `masked` says that a mask
    is read, which rules some fused kernels out; `causal` that half the scores need not be computed.
    """

    batch: int
    heads: int
    q: int
    kv: int
    width: int
    causal: bool
    masked: bool
    kind: str
    axis: str


class GroupNorm(NamedTuple):
    """One group norm: `groups` over the whole batch, each of `values` that share a mean."""

    groups: int
    values: int


class Strided(NamedTuple):
    """Reads that are not in memory order: `nbytes` of them, in runs of `run` contiguous bytes.

    `reuse` is how many other runs are read before the bytes behind a run are asked for: a cache that holds as many
    lines still has the line then, a smaller one fetches it again. 0: they are never asked for in this order.
    `step` is how many bytes one run starts after the run read before it.
    """

    nbytes: int
    run: int
    reuse: int
    step: int = 0


@dataclass(frozen=True, slots=True)
class Kernel:
    """One call: its op, what it computes and what it moves. Sizes are integers, bytes are those of the cost model.

    `category` is the operator category, "attention" for every kernel of an attention. `family` names what kind of
    device kernel runs, one of FAMILIES. `known` is False for an op without a rule: timed by its bytes. `axis` is the
    axis of the attention that a layout change belongs to, where one does.
    """

    op: str
    category: str
    family: str
    role: str
    dtype: str
    flops: int
    pointwise_flops: int
    bytes_read: int
    bytes_written: int
    contraction: Contraction | None = None
    attention: Attention | None = None
    strided: Strided | None = None
    known: bool = True
    axis: str = ""
    group_norm: GroupNorm | None = None

    @property
    def bytes(self) -> int:
        """Bytes read plus bytes written."""
        return self.bytes_read + self.bytes_written

    def to_list(self) -> list[Any]:
        """Fields in order, for a cache file."""
        return [getattr(self, field.name) for field in fields(self)]

    @classmethod
    def from_list(cls, values: list[Any]) -> Kernel:
        """What `to_list` wrote."""
        found = dict(zip((field.name for field in fields(cls)), values, strict=True))
        shapes = {"contraction": Contraction, "attention": Attention, "strided": Strided, "group_norm": GroupNorm}
        for name, kind in shapes.items():
            found[name] = None if found[name] is None else kind(*found[name])
        return cls(**found)


@dataclass(frozen=True, slots=True)
class StageCall:
    """One forward call of a stage at one set of sizes, free of any device.

    `order` maps each of VARIANTS to indices into `kernels`, in execution order. Bytes and peaks map "materialized"
    and "fused". `cache_bytes` are the inputs whose role is a cache, `weight_bytes` parameters, buffers and constants.
    `attention_order` maps each attention, in call order, to its index in `attentions`.
    """

    stage: str
    values: Mapping[str, int | float]
    dtype: str
    parameters: int
    weight_bytes: int
    cache_bytes: int
    flops: int
    pointwise_flops: int
    bytes: Mapping[str, int]
    peak_bytes: Mapping[str, int]
    kernels: tuple[Kernel, ...]
    order: Mapping[str, tuple[int, ...]]
    attentions: tuple[Attention, ...]
    attention_order: tuple[int, ...]
    score_bytes: int
    notes: tuple[str, ...] = ()

    def run(self, variant: str) -> Iterator[Kernel]:
        """The kernels of `variant` in execution order."""
        return (self.kernels[index] for index in self.order[variant])

    def counts(self, variant: str) -> dict[Kernel, int]:
        """{kernel: how often one call runs it}."""
        found: dict[Kernel, int] = {}
        for kernel in self.run(variant):
            found[kernel] = found.get(kernel, 0) + 1
        return found

    @property
    def unknown_nodes(self) -> int:
        """Calls without a rule: `flops` and `pointwise_flops` are without theirs."""
        return sum(not kernel.known for kernel in self.run("fused"))

    @property
    def counted(self) -> bool:
        """Whether any call has a rule; where there are calls and none has, `flops` say nothing."""
        return any(kernel.known for kernel in self.run("fused")) or not self.order["fused"]

    @property
    def attention_calls(self) -> list[Attention]:
        """Attentions in call order."""
        return [self.attentions[index] for index in self.attention_order]

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back, for the disk cache."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        found["kernels"] = [kernel.to_list() for kernel in self.kernels]
        found["order"] = {name: list(order) for name, order in self.order.items()}
        return found | {"values": dict(self.values), "bytes": dict(self.bytes), "peak_bytes": dict(self.peak_bytes)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> StageCall:
        """What `to_dict` wrote; KeyError, TypeError or ValueError for anything else."""
        found = dict(record)
        found["kernels"] = tuple(Kernel.from_list(item) for item in record["kernels"])
        found["order"] = {name: tuple(record["order"][name]) for name in VARIANTS}
        found["attentions"] = tuple(Attention(*item) for item in record["attentions"])
        found["attention_order"] = tuple(record["attention_order"])
        found["notes"] = tuple(record["notes"])
        return cls(**found)
