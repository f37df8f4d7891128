"""The memory that probes read: one block of random numbers, handed out as tensors of any shape."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

BYTES = 96 << 20
"""Size of the block: three times the last-level cache that the largest shared ones lend to one virtual machine."""

COPIES = 48
"""Layers a model has whose weights are about as large: a probe rotates through so many weights."""

NEAR = 1 << 20
"""Bytes of weights that stay in a second-level cache from one run of a model to the next."""


class Arena:
    """float32 tensors with random values. Nothing is copied: tensors of one arena may overlap, and probes only read."""

    def __init__(self, nbytes: int = BYTES, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._block = torch.empty(nbytes // 4).normal_(generator=generator)
        self._indices = torch.randint(0, 64, (1 << 20,), generator=generator)

    def activations(self, *shape: int) -> list[torch.Tensor]:
        """Two tensors of `shape` that lie apart: what the operator before has just written is in a cache if it fits."""
        return list(self._tensors(shape, 2))

    def weights(self, *shape: int) -> list[torch.Tensor]:
        """COPIES tensors of `shape`, for a model comes back to a weight after having read all others; one if all fit
        a second-level cache.
        """
        return list(self._tensors(shape, COPIES if COPIES * 4 * math.prod(shape) > NEAR else 1))

    def stream(self, nbytes: int) -> torch.Tensor:
        """At most `nbytes` at the end of the block, to read in place of what other operators read."""
        return self._block[self._block.numel() - nbytes // 4 :]

    def indices(self, *shape: int) -> torch.Tensor:
        """Indices below 64."""
        return self._indices[: math.prod(shape)].view(shape)

    def _tensors(self, shape: tuple[int, ...], copies: int) -> Iterator[torch.Tensor]:
        numel = math.prod(shape)
        step = -(-numel // 16) * 16  # 64 bytes, what torch's allocator aligns to
        count = max(1, min(copies, self._block.numel() // step))
        for index in range(count):
            yield self._block[index * step : index * step + numel].view(shape)
