"""fuse-qkv: the query, key and value projections of self-attention as one linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import Known
from graphlab.rewriting.projections import fuse, projected
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class FuseQkv(Rewrite):
    """Makes one linear layer of those over one value that feed one attention, the query's among them.

    Before: `q = linear(x, wq); k = linear(x, wk); v = linear(x, wv); attention(q, k, v)`.
    After: `q, k, v = split(linear(x, [wq; wk; wv]), ...); attention(q, k, v)`.

    Which layers: those whose results reach query, key or value of one attention (fused, or spelled out around a
    softmax) through views, norms, rotary embedding and concatenation. Missing biases become zeros where another
    layer has one. Stays: shared, computed or quantised weights, adapters, a layer that is alone over its input.

    It pays where launches or small products bound the time: short sequences, small batches, decoding one token (one
    read of x, one larger product). Large products gain nothing, and parts of one result are strided: a reader that
    needs them in one piece copies.
    """

    name: ClassVar[str] = "fuse-qkv"

    def apply(self, draft: Draft) -> None:
        """Tries the layers of every attention, those of one input together."""
        known: Known = {}
        for group in list(projected(draft)):
            if "q" in group.roles:
                fuse(draft, group, "projections of one value", known)
