"""Random masks to hold a mask against: as many entries of every weight, drawn without looking."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.density import densities


class RandomMasks(Mapping[str, torch.Tensor]):
    """{key: boolean tensor} with exactly as many set entries in every weight as `masks` has, drawn from `seed`.

    A weight's draw depends on the seed, its key and its shape, and not on the other weights; each is drawn when it is
    asked for. EraseError for a seed below 0.
    """

    def __init__(self, masks: Mapping[str, torch.Tensor], seed: int) -> None:
        if seed < 0:
            raise EraseError(f"the seed is {seed}, expected 0 or more")
        self._rows = {row.key: row for row in densities(masks)}
        self._seed = seed

    def __getitem__(self, key: str) -> torch.Tensor:
        """The mask of one weight."""
        row = self._rows[key]
        digest = hashlib.sha256(f"{self._seed}\0{key}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        made = torch.zeros(row.entries, dtype=torch.bool)
        made[torch.randperm(row.entries, generator=generator)[: row.kept]] = True
        return made.view(row.shape)

    def __iter__(self) -> Iterator[str]:
        """The keys in the order of the masks they stand against."""
        return iter(self._rows)

    def __len__(self) -> int:
        """How many weights there are."""
        return len(self._rows)
