"""How far two results are from each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Difference:
    """`max_error` is the largest absolute difference; `error` that over the root mean square of the reference.

    Both are inf where one is finite and the other is not, or shapes differ; `why` says so.
    """

    error: float
    max_error: float
    why: str = ""


def difference(reference: torch.Tensor, found: torch.Tensor) -> Difference:
    """The Difference of `found` from `reference`, of one shape; values that are not finite must be the same.

    The root mean square is taken over the finite values of the reference; of one that is zero everywhere the largest
    difference itself is the error. Integers and booleans must be equal.
    """
    if reference.shape != found.shape:
        return _apart(f"has the shape {tuple(found.shape)}, expected {tuple(reference.shape)}")
    if not reference.numel():
        return Difference(0.0, 0.0)
    if not (reference.is_floating_point() and found.is_floating_point()):
        differing = int((reference != found).sum())
        return _apart(f"{differing} of {reference.numel()} values differ") if differing else Difference(0.0, 0.0)
    finite = reference.isfinite()
    if not torch.equal(finite, found.isfinite()):
        return _apart(_unlike(finite, found))
    if not torch.equal(reference[~finite].nan_to_num(1.0, 2.0, 3.0), found[~finite].nan_to_num(1.0, 2.0, 3.0)):
        return _apart("values that are not finite are others")
    if not bool(finite.any()):
        return Difference(0.0, 0.0)
    expected = reference[finite].double()
    largest = float((expected - found[finite].double()).abs().max())
    scale = float(expected.square().mean().sqrt())
    return Difference(largest / scale if scale else largest, largest)


def _apart(why: str) -> Difference:
    return Difference(float("inf"), float("inf"), why)


def _unlike(finite: torch.Tensor, found: torch.Tensor) -> str:
    count = int((~found.isfinite()).sum())
    return f"{count} of {found.numel()} values are NaN or infinite, expected {int((~finite).sum())}"
