"""The two ways of attention every figure shows side by side, and which kernels count as attention."""

from __future__ import annotations

from typing import NamedTuple

from graphlab.characterization.data import BASELINE, FUSED
from graphlab.kernels.data import Kernel


class Way(NamedTuple):
    """`label` in the rows; `runtime` of the time model; `key` of StageCall.bytes, peak_bytes and order."""

    label: str
    runtime: str
    key: str


WAYS = (Way("baseline", BASELINE, "materialized"), Way("fused", FUSED, "fused"))
WAY_HELP = "scores in memory (baseline), or one fused kernel"

PARTS = ("core", "projection", "projection layout", "layout", "other")


def attention_part(kernel: Kernel) -> str:
    """One of PARTS: the products, mask and softmax; projections of the attention module and the layout changes among
    them; layout changes elsewhere that belong to an attention; everything else."""
    if kernel.category == "attention":
        return "core"
    moves = kernel.category == "movement" and bool(kernel.axis)
    if kernel.role == "attention_projection":
        return "projection layout" if moves else "projection"
    return "layout" if moves else "other"


SCOPES = {
    "attention": ("core",),
    "attention module": ("core", "projection", "projection layout"),
    "attention and its layout changes": ("core", "projection layout", "layout"),
}
"""{what is called attention: the PARTS it is made of}. Which of them a published share means is not always said."""
