"""Values of one dtype in another, where that keeps what they are."""

from __future__ import annotations

import torch

from graphlab.weights.errors import WeightsError


def cast(value: torch.Tensor, dtype: torch.dtype, what: str) -> torch.Tensor:
    """`value` in `dtype`, rounded; `what` names it in messages.

    WeightsError when one is floating, complex, an integer or boolean and the other is not, and when a finite value
    becomes infinite.
    """
    if value.dtype == dtype:
        return value
    old, new = spelled(value.dtype), spelled(dtype)
    if _kind(value.dtype) != _kind(dtype):
        raise WeightsError(f"{what} is {old}, expected {new}", hint="the weights may be quantised")
    made = value.to(dtype)
    if _narrower(dtype, value.dtype) and bool((made.isfinite() != value.isfinite()).any()):
        raise WeightsError(
            f"{what} has values that {new} cannot hold, it is {old}", hint="use a program in bfloat16 or float32"
        )
    return made


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
