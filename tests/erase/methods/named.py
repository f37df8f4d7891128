"""Methods by name, as what they train."""

from __future__ import annotations

from graphlab.erase.methods.known import METHODS
from graphlab.erase.methods.method import Finetuning, Masking, Method


def finetuning(name: str) -> Finetuning:
    """How a method trains, which it must."""
    how = METHODS[name].how
    assert isinstance(how, Finetuning)
    return how


def masked(method: Method) -> tuple[Finetuning, Masking]:
    """How a method trains, and its mask, which it must have."""
    assert isinstance(method.how, Finetuning)
    assert method.how.masking is not None
    return method.how, method.how.masking
