"""Values of one dtype in another, where that keeps what they are."""

from __future__ import annotations

import torch

from graphlab.weights.errors import WeightsError

MASKED = 1e30
"""Magnitude from which a value is no number but stands for infinity: masks are filled with the least of float32."""


def cast(value: torch.Tensor, dtype: torch.dtype, what: str) -> torch.Tensor:
    """`value` in `dtype`, rounded; `what` names it in messages.

    WeightsError when one is floating, complex, an integer or boolean and the other is not, and when a finite value
    becomes infinite. Values from MASKED on, which hide what they are added to, become the largest there are.
    """
    if value.dtype == dtype:
        return value
    old, new = spelled(value.dtype), spelled(dtype)
    if _kind(value.dtype) != _kind(dtype):
        raise WeightsError(f"{what} is {old}, expected {new}", hint="the weights may be quantised")
    made = value.to(dtype)
    if not _narrower(dtype, value.dtype) or not bool((lost := made.isfinite() != value.isfinite()).any()):
        return made
    if bool((value[lost].abs() < MASKED).any()):
        raise WeightsError(
            f"{what} has values that {new} cannot hold, it is {old}", hint="use a program in bfloat16 or float32"
        )
    return torch.where(lost, made.nan_to_num(posinf=torch.finfo(dtype).max, neginf=torch.finfo(dtype).min), made)


def spelled(dtype: torch.dtype) -> str:
    """ "float16" of torch.float16."""
    return str(dtype).removeprefix("torch.")


def described(tensor: torch.Tensor) -> str:
    """Dtype and shape in words, for messages."""
    return f"{spelled(tensor.dtype)} {tuple(tensor.shape)}"


def _narrower(new: torch.dtype, old: torch.dtype) -> bool:
    """Whether the largest value of `new` is below that of `old`."""
    return new.is_floating_point and torch.finfo(new).max < torch.finfo(old).max


def _kind(dtype: torch.dtype) -> str:
    if dtype is torch.bool:
        return "boolean"
    return "complex" if dtype.is_complex else "floating" if dtype.is_floating_point else "integer"
