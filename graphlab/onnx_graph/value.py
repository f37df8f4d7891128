"""What a name of an ONNX graph stands for while it is read: a tensor of the graph, or numbers that are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

KNOWN_LIMIT = 1024
"""Elements of the largest tensor whose values are followed: shapes, axes, pads, scalars."""


@dataclass(eq=False, slots=True)
class Value:
    """One value: dtype, sizes (ints or torch.SymInt), and

    - `known`: its elements as an object array (ints, floats, bools, torch.SymInt), where they are known; or
    - `fake` and `ref`: its tensor without memory, and the node of the graph that makes it.

    `weight` marks what the model learned: it is read as a tensor even where its values are at hand.
    A known value becomes a node only when an operator reads it as a tensor: `make` does that, once.
    """

    dtype: torch.dtype
    shape: tuple[Any, ...]
    known: np.ndarray[Any, Any] | None = None
    fake: torch.Tensor | None = None
    ref: str = ""
    weight: bool = False
    make: Callable[[Value], None] | None = field(default=None, repr=False)

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def numel(self) -> Any:
        """Number of elements, an int or a torch.SymInt."""
        return math.prod(self.shape)

    def tensor(self) -> torch.Tensor:
        """The fake tensor; a known value becomes a node of the graph first."""
        if self.fake is None:
            assert self.make is not None
            self.make(self)
        assert self.fake is not None
        return self.fake

    def scalar(self) -> Any:
        """The number of a known value of one element; None otherwise."""
        if self.known is None or self.known.size != 1:
            return None
        return self.known.reshape(-1)[0]


def known_array(values: Any, shape: tuple[int, ...] | None = None) -> np.ndarray[Any, Any]:
    """`values` (nested or flat) as an object array of Python numbers."""
    array = np.empty(len(values), dtype=object) if isinstance(values, (list, tuple)) else None
    if array is not None:
        for index, value in enumerate(values):
            array[index] = value
        return array.reshape(shape) if shape is not None else array
    return np.asarray(values).astype(object)
