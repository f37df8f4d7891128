"""Values of a program that a backend rewrote once more: its new weights are made of those it was given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from graphlab.rewriting.new_tensor import NewTensor
from graphlab.weights.recipes import by_recipe


class Derived(Mapping[str, torch.Tensor]):
    """{key: CPU tensor} of `values` and of `new_tensors`, which are made when they are asked for and not kept."""

    def __init__(self, values: Mapping[str, torch.Tensor], new_tensors: Sequence[NewTensor]) -> None:
        self.values_before = values
        self.made = {item.key: item for item in new_tensors}

    def __getitem__(self, key: str) -> torch.Tensor:
        """The tensor `key`; KeyError where there is none."""
        return by_recipe(key, self.made, lambda name, _: self.values_before[name])

    def __iter__(self) -> Iterator[str]:
        """Keys of the values given, then those of the new tensors."""
        yield from self.values_before
        yield from (key for key in self.made if key not in self.values_before)

    def __len__(self) -> int:
        """How many keys there are."""
        return sum(1 for _ in self)
