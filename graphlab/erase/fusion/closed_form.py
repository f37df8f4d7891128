"""One projection for many edits: the weight that maps every edit's embeddings where the edit wants them.

Each edit i says where W should take embeddings e: to t(e). The fused weight minimises

    sum_i sum_e |W* e - t_i(e)|^2 + s sum_{e kept} |W* e - W e|^2 + ridge |W* - W|^2

and so W* = [sum_i sum_e t e^T + s W B + ridge W] [sum_i sum_e e e^T + s B + ridge I]^-1, with B the second moments of
the captions kept. It is worked out in float64; the ridge is relative, rho trace(.) / width of the matrix it is added
to. It pulls towards the original weights, and not towards 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.fusion.statistics import TextStatistics

SINGULAR = 1e-13
"""Smallest eigenvalue over the largest below which a system has no single solution in float64."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Where one edit takes its embeddings: `product` (out, width) is the sum of t(e) e^T, `gram` (width, width) of
    e e^T, both float64."""

    product: torch.Tensor
    gram: torch.Tensor


def as_trained(weight: torch.Tensor, embeddings: torch.Tensor) -> Edit:
    """The edit that takes `embeddings` (..., width) where the trained `weight` (out, width) takes them."""
    gram = TextStatistics.of(embeddings).gram
    return Edit(weight.double() @ gram, gram)


def as_anchor(weight: torch.Tensor, embeddings: torch.Tensor, anchors: torch.Tensor) -> Edit:
    """The edit that takes `embeddings` where the original `weight` takes `anchors`, pair by pair, both (..., width)."""
    if embeddings.shape != anchors.shape:
        raise EraseError(f"{tuple(embeddings.shape)} embeddings and {tuple(anchors.shape)} anchors are no pairs")
    given, wanted = (part.detach().reshape(-1, part.shape[-1]).double() for part in (embeddings, anchors))
    return Edit(weight.double() @ (wanted.T @ given), given.T @ given)


def fused(
    weight: torch.Tensor,
    edits: Sequence[Edit],
    kept: TextStatistics | None = None,
    *,
    keep: float = 1.0,
    rho: float = 0.0,
) -> torch.Tensor:
    """`weight` (out, width) after `edits`, in its own dtype; of `kept` it changes little, the less the larger `keep`.

    EraseError where what is given leaves directions open: embeddings that do not span the width need `kept` texts
    that do, or a ridge (`rho` > 0).
    """
    original = weight.detach().double()
    gram = sum((edit.gram for edit in edits), torch.zeros_like(original.T @ original))
    # What is kept and the ridge ask for W itself, so nothing of them is left on this side of the equation for W* - W.
    wanted = sum((edit.product - original @ edit.gram for edit in edits), torch.zeros_like(original))
    if kept is not None:
        gram = gram + keep * kept.gram
    gram = gram + rho * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    values = torch.linalg.eigvalsh(gram)
    if not bool(values[-1] > 0) or bool(values[0] < SINGULAR * values[-1]):
        raise EraseError(
            "the embeddings leave directions of the text open, so that no one weight follows from them",
            hint="keep captions that span it, or give a ridge (rho above 0)",
        )
    change: torch.Tensor = torch.linalg.solve(gram, wanted.T).T
    return (original + change).to(weight.dtype)
