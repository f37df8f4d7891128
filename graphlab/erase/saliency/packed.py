"""Masks in one bit an entry, and how many of many masks hold an entry, in few bits an entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.config import Combine
from graphlab.masks import pack, unpack

_ONES = torch.tensor([bin(byte).count("1") for byte in range(256)], dtype=torch.uint8)


class PackedMasks(Mapping[str, torch.Tensor]):
    """{key: boolean tensor}, each unpacked when it is asked for, from `bits` {key: uint8 (bytes,)} and `shapes`."""

    def __init__(self, bits: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size]) -> None:
        self._bits = dict(bits)
        self._shapes = dict(shapes)

    def __getitem__(self, key: str) -> torch.Tensor:
        """The mask of one weight."""
        return unpack(self._bits[key], self._shapes[key])

    def __iter__(self) -> Iterator[str]:
        """The keys in the order of the parameters."""
        return iter(self._bits)

    def __len__(self) -> int:
        """How many weights there are."""
        return len(self._bits)

    def set_entries(self, key: str) -> int:
        """How many entries of a weight are set, without unpacking it."""
        return ones(self._bits[key])

    def shape(self, key: str) -> torch.Size:
        """The shape of a weight."""
        return self._shapes[key]


class Votes:
    """Combines masks given one after the other, keeping one bit an entry, or, to count votes, the bits of the count.

    `combine` "intersection" keeps what all hold, "union" what any holds, "vote" what `votes` or more hold.
    """

    def __init__(self, combine: Combine, votes: int | None = None) -> None:
        self.added = 0
        self._combine, self._votes = combine, votes or 1
        self._planes: dict[str, list[torch.Tensor]] = {}
        self._shapes: dict[str, torch.Size] = {}

    @property
    def shapes(self) -> Mapping[str, torch.Size]:
        """{key: shape} of the weights."""
        return self._shapes

    @property
    def held(self) -> int:
        """Bytes that are kept."""
        return sum(plane.numel() for planes in self._planes.values() for plane in planes)

    def add(self, masks: Mapping[str, torch.Tensor]) -> None:
        """Adds a map's masks {key: boolean tensor}; EraseError where keys or shapes are not those of the first."""
        shapes = {key: mask.shape for key, mask in masks.items()}
        if self.added and shapes != self._shapes:
            raise EraseError("the masks to combine are of different weights")
        self._shapes = shapes
        for key, mask in masks.items():
            self._planes[key] = self._with(self._planes.get(key), pack(mask))
        self.added += 1

    def result(self) -> PackedMasks:
        """What is combined so far."""
        return PackedMasks({key: self._enough(planes) for key, planes in self._planes.items()}, self._shapes)

    def state(self) -> dict[str, list[torch.Tensor]]:
        """{key: planes of packed bits}: what `load` goes on from."""
        return self._planes

    def load(self, planes: dict[str, list[torch.Tensor]], shapes: Mapping[str, torch.Size], added: int) -> None:
        """Goes on from the state of another after `added` masks."""
        self._planes, self._shapes, self.added = planes, dict(shapes), added

    def _with(self, planes: list[torch.Tensor] | None, bits: torch.Tensor) -> list[torch.Tensor]:
        if planes is None:
            return [bits]
        if self._combine == "intersection":
            return [planes[0] & bits]
        if self._combine == "union":
            return [planes[0] | bits]
        made = []  # adds one bit to a binary number of which every plane holds one digit, lowest first
        for plane in planes:
            made.append(plane ^ bits)
            bits = plane & bits
        return [*made, bits] if bool(bits.any()) else made

    def _enough(self, planes: list[torch.Tensor]) -> torch.Tensor:
        """Where the binary number of the planes is `votes` or more, told digit by digit from the highest."""
        if self._combine != "vote":
            return planes[0]
        width = max(len(planes), self._votes.bit_length())
        more, same = torch.zeros_like(planes[0]), torch.full_like(planes[0], 255)
        for at in range(width - 1, -1, -1):
            plane = planes[at] if at < len(planes) else torch.zeros_like(more)
            if self._votes >> at & 1:
                same = same & plane
            else:
                more = more | (same & plane)
                same = same & ~plane
        return more | same


def ones(bits: torch.Tensor) -> int:
    """How many bits of a tensor of bytes are set."""
    return int(_ONES[bits.long()].sum(dtype=torch.int64))
