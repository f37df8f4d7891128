"""The kernels of one attention: three with its scores in memory, one without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphlab.costing import score_spec
from graphlab.facts import AttentionSite, AttentionTraffic, NodeCost
from graphlab.graph import Graph
from graphlab.kernels.data import Attention, Contraction, Kernel


def attention_of(graph: Graph, site: AttentionSite, costs: Mapping[str, NodeCost]) -> Attention:
    """Sizes of `site` in `graph` (integer sizes); an unknown kind or axis is "".

    A fused op that reads a mask works on every score, whatever the mask says: it is causal only where it is told so
    by a flag. An attention that is spelled out is what a fused kernel with the flag would do.
    """
    scores = score_spec(graph, site)
    q = scores.shape[site.q_dim] if not site.fused else scores.shape[-2]
    kv = scores.shape[site.k_dim] if not site.fused else scores.shape[-1]
    lead = scores.numel // (q * kv) if q and kv else 0
    heads = site.heads or 1
    return Attention(
        batch=max(1, lead // heads),
        heads=heads,
        q=q,
        kv=kv,
        width=_width(graph, site, costs, scores.numel),
        causal=bool(site.causal) and not (site.fused and site.mask is not None),
        masked=site.mask is not None,
        kind=site.kind or "",
        axis=site.axis or "",
    )


def _width(graph: Graph, site: AttentionSite, costs: Mapping[str, NodeCost], scores: int) -> int:
    if site.fused:
        return int(graph.by_name[site.query].out.shape[-1])
    return (costs[site.contractions[0]].flops or 0) // (2 * scores) if scores else 0


def fused_kernel(
    site: AttentionSite, sizes: Attention, moved: AttentionTraffic, members: Sequence[Kernel], written: int
) -> Kernel:
    """`site` as one kernel that never writes its scores; `members` are its calls, `written` bytes its result."""
    anchor = members[[*site.members].index(site.node)]
    return replace(
        anchor,
        category="attention",
        family="attention",
        role="attention_core",
        flops=sum(kernel.flops for kernel in members),
        pointwise_flops=sum(kernel.pointwise_flops for kernel in members),
        bytes_read=max(moved.fused - written, 0),
        bytes_written=written,
        contraction=None,
        attention=sizes,
        strided=None,
        axis=sizes.axis,
    )


def materialized_kernels(
    fused: Kernel, score_bytes: int, value_bytes: int | None = None, mask_bytes: int = 0
) -> list[Kernel]:
    """What runs in place of a fused kernel when scores are kept: product, mask where there is one, softmax, product.

    Traffic is that of `graphlab.costing.site_traffic`: scores written by the first product, read and written by the
    softmax, read by the second product, and read and written once more where a mask is added. All pointwise FLOPs
    stand with the softmax, the scale being part of the first product (`alpha` of baddbmm). `value_bytes` are those of
    the values, as many as of heads of their own; None takes one head of values for each of the queries'.
    """
    sizes = fused.attention
    assert sizes is not None
    lead = sizes.batch * sizes.heads
    first = min(2 * lead * sizes.q * sizes.kv * sizes.width, fused.flops)
    out_width = (fused.flops - first) // (2 * lead * sizes.q * sizes.kv) if sizes.q and sizes.kv else sizes.width
    if value_bytes is None:
        value_bytes = lead * sizes.kv * out_width * (score_bytes // max(lead * sizes.q * sizes.kv, 1))
    value_bytes = min(value_bytes, fused.bytes_read)
    mask_bytes = min(mask_bytes, fused.bytes_read - value_bytes) if sizes.masked else 0
    base = replace(fused, attention=None, pointwise_flops=0)
    scores = replace(
        base,
        op="scores",
        family="contraction",
        flops=first,
        bytes_read=fused.bytes_read - value_bytes - mask_bytes,
        bytes_written=score_bytes,
        contraction=Contraction(lead, sizes.q, sizes.kv, sizes.width),
    )
    mask = replace(
        base,
        op="mask",
        family="pointwise",
        flops=0,
        bytes_read=score_bytes + mask_bytes,
        bytes_written=score_bytes,
        contraction=None,
    )
    softmax = replace(
        mask, op="softmax", family="softmax", bytes_read=score_bytes, pointwise_flops=fused.pointwise_flops
    )
    values = replace(
        base,
        op="values",
        family="contraction",
        flops=fused.flops - first,
        bytes_read=score_bytes + value_bytes,
        bytes_written=fused.bytes_written,
        contraction=Contraction(lead, sizes.q, out_width, sizes.kv),
    )
    return [scores, *([mask] if sizes.masked else []), softmax, values]
