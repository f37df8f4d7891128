"""Whether a candidate computes what the reference does."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphlab.report.bench_data import Check

TOLERANCES = {"float64": 1e-3, "float32": 1e-3, "float16": 3e-2, "bfloat16": 1e-1}
"""The largest error of an output over its largest value that a candidate computing in that dtype may have.

Sums are ordered otherwise by every runtime: float32 keeps 1e-5 through a deep U-Net, and 1e-3 leaves room for worse
conditioned models while any wrong operator is far above it. Half precision keeps 11 bits, bfloat16 8, and errors of
all layers add up.
"""


def tolerance(*dtypes: str | None) -> float:
    """The tolerance of the coarsest of `dtypes`; float32's for those without one of their own."""
    return max(TOLERANCES.get(dtype or "float32", TOLERANCES["float32"]) for dtype in dtypes)


def compare(got: Mapping[str, torch.Tensor], want: Mapping[str, torch.Tensor], allowed: float) -> Check:
    """`got` beside `want`, outputs by their keys in order; `allowed` is the tolerance."""
    worst, place = 0.0, 0
    if list(got) != list(want):
        return Check(None, allowed, 0, False)
    for index, key in enumerate(want):
        error = relative_error(got[key], want[key])
        if error is None:
            return Check(None, allowed, index, False)
        if error > worst:
            worst, place = error, index
    return Check(worst, allowed, place, worst <= allowed)


def relative_error(got: torch.Tensor, want: torch.Tensor) -> float | None:
    """The largest difference over the largest value of `want`; the difference itself where `want` is all 0.

    Whole numbers name things (tokens, places), and one beside another is another thing: at least the share of those
    that differ.
    None where they cannot be compared: other shapes, or NaN or infinity in other places.
    """
    if got.shape != want.shape:
        return None
    if want.numel() == 0:
        return 0.0
    if want.is_complex():
        return relative_error(torch.view_as_real(got.to(want.dtype)), torch.view_as_real(want))
    ours, theirs = got.to(torch.float64), want.to(torch.float64)
    finite = torch.isfinite(theirs)
    if not torch.equal(torch.isfinite(ours), finite) or not torch.equal(
        torch.nan_to_num(ours[~finite], nan=0.5), torch.nan_to_num(theirs[~finite], nan=0.5)
    ):
        return None
    if not finite.any():
        return 0.0
    difference = (ours[finite] - theirs[finite]).abs().max().item()
    scale = theirs[finite].abs().max().item()
    error = difference / scale if scale else difference
    if want.is_floating_point():
        return error
    return max(error, (got != want).double().mean().item())
