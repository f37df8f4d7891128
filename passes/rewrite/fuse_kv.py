"""fuse-kv: the key and value projections of cross-attention as one linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import Known
from graphlab.rewriting.projections import fuse, projected
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class FuseKv(Rewrite):
    """Makes one linear layer of the key's and the value's where the query is projected from another value.

    Before: `k = linear(text, wk); v = linear(text, wv); attention(q, k, v)`.
    After: `k, v = split(linear(text, [wk; wv]), ...); attention(q, k, v)`.

    Finds, keeps and refuses what fuse-qkv does. It pays where the text is short, which it is in image models: two
    products of 77 rows each leave most of a device idle. In a denoising loop hoisting them out of the loop pays more.
    """

    name: ClassVar[str] = "fuse-kv"

    def apply(self, draft: Draft) -> None:
        """Tries the layers of every attention, those of one input together."""
        known: Known = {}
        for group in list(projected(draft)):
            if "q" not in group.roles:
                fuse(draft, group, "key and value projections of one value", known)
