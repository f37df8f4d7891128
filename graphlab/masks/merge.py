"""The masked entries of one weight from the edited model, all others from the base; proved bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from graphlab.masks.bits import check_plain, raw, selected, spread, words
from graphlab.masks.checkpoint import EditedWeights
from graphlab.masks.errors import MaskError
from graphlab.masks.reading import WeightMask


@dataclass(frozen=True, slots=True)
class MaskRow:
    """What a mask did to one weight.

    `changed_entries` are the set entries whose bits changed, `max_abs_change` the largest |after - before| among
    them, in the weight's own units (NaN where a NaN is involved, 0 where nothing changed). `ignored_entries` differ in
    the edited checkpoint but are not set, so they kept the base's value; None where nothing is set: not compared.
    """

    key: str
    shape: tuple[int, ...]
    set_entries: int
    entries: int
    density: float
    changed_entries: int
    max_abs_change: float
    ignored_entries: int | None


def merged(base: torch.Tensor, edited: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A new tensor: `edited` where `mask`, `base` elsewhere, bit for bit; strides and device of `base`.

    All three have one shape, `base` and `edited` one dtype. MaskError when they have not, or when comparing the bits
    afterwards finds an entry that is not as it must be.
    """
    if base.shape != edited.shape or base.dtype != edited.dtype or base.shape != mask.shape:
        raise MaskError(
            f"base {_described(base)}, edited {_described(edited)} and mask {tuple(mask.shape)} do not fit each other"
        )
    chosen, before, after = spread(mask, base.dtype), raw(base), raw(edited)
    result = _like(base)
    result.copy_(torch.where(chosen, after, before).view(base.dtype).reshape(base.shape))
    found = raw(result)
    if bool(((found != before) & ~chosen).any()):
        raise MaskError("an entry outside the mask changed")
    if bool(((found != after) & chosen).any()):
        raise MaskError("a masked entry is not the edited one")
    return result


def _like(base: torch.Tensor) -> torch.Tensor:
    """Fresh memory with the strides of `base`, nothing but zeros between its elements."""
    if any(size > 1 and stride == 0 for size, stride in zip(base.shape, base.stride(), strict=True)):
        raise MaskError("several entries of it are one place in memory (an expanded tensor)")
    result = torch.empty_strided(base.shape, base.stride(), dtype=base.dtype, device=base.device)
    places = result.untyped_storage().nbytes() // result.element_size()
    if places > result.numel():
        result.as_strided((places,), (1,), 0).zero_()
    return result


def row_of(key: str, mask: torch.Tensor, base: torch.Tensor, edited: torch.Tensor) -> MaskRow:
    """The account of one weight: `base` as it was, `edited` as the checkpoint has it."""
    chosen = spread(mask, torch.uint8)
    differs = raw(base) != raw(edited)
    if words(base.dtype) > 1:
        differs = differs.reshape(-1, words(base.dtype)).any(1)
    changed = chosen & differs
    count, set_entries = int(torch.count_nonzero(changed)), int(torch.count_nonzero(chosen))
    largest = _largest_change(*(selected(t, changed).view(base.dtype) for t in (base, edited))) if count else 0.0
    density = set_entries / chosen.numel() if chosen.numel() else 0.0
    ignored = int(torch.count_nonzero(differs)) - count
    return MaskRow(key, tuple(base.shape), set_entries, chosen.numel(), density, count, largest, ignored)


def _largest_change(before: torch.Tensor, after: torch.Tensor) -> float:
    """The largest |after - before|, in float64."""
    wide = torch.complex128 if before.is_complex() else torch.float64
    return float((after.to(wide) - before.to(wide)).abs().max())


@dataclass(frozen=True, slots=True)
class MaskedMerge:
    """How a masked weight is made of the base's: {its key: base tensor} to the merged tensor.

    `digest` names mask and masked values, so that a pass knows what it has already done. In the weight's own dtype
    the merge is bit for bit; in another one (a verification in float64) the edited entries are converted.
    """

    mask: WeightMask
    edited: EditedWeights
    key: str
    digest: str

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The merged weight; a weight on the meta device stays there."""
        (base,) = tensors.values()
        if base.is_meta:
            return torch.empty_strided(base.shape, base.stride(), dtype=base.dtype, device="meta")
        check_plain(self.key, base)
        return merged(base.detach(), self.edited.get(self.key).to(base.dtype), self.mask.bits(self.key))


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
