"""apply-weight-mask: exactly the masked entries of the weights from an edited checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from graphlab.errors import GraphlabError
from graphlab.masks import EditedWeights, MaskedMerge, MaskRow, WeightMask, read_mask
from graphlab.masks.fit import check_base, check_edited, chosen, digest, tied_groups
from graphlab.masks.merge import row_of
from graphlab.masks.sharing import by_storage, neighbours
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.new_tensor import InTurn
from graphlab.rewriting.options import required
from graphlab.rewriting.record import CHANGED_WEIGHTS
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class ApplyWeightMask(Rewrite):
    """Takes the masked entries of the weights from an edited checkpoint and leaves all others as they are.

    Before: weight w. After: w' = where(mask, edited, w), bit for bit; the graph stays the same. The mask names its
    base by hash: weights that are not those it was made for are refused, and so is a program whose weights another
    rewrite has changed. `details["apply-weight-mask"]` of the result is a tuple of MaskRow, one a masked weight. A
    saved program holds neither mask nor old values. Run again with the same files it changes nothing.
    """

    name: ClassVar[str] = "apply-weight-mask"
    exact: ClassVar[bool] = False

    # A field, not a shared default, which is what RUF009 looks for.
    mask: Path = required("the mask, a safetensors file of packed bits (docs/masks.md)")  # noqa: RUF009
    weights: Path = required("the edited weights: a .safetensors file, its index, or a folder")  # noqa: RUF009

    def apply(self, draft: Draft) -> None:
        """Checks program, mask and checkpoint as a whole, then changes one weight after the other."""
        mask = read_mask(self.mask)
        if _ran_before(draft) and _is_applied(draft, mask, self._edited(mask)):
            return
        _check_untouched(draft)
        check_base(mask, draft.state, draft.program.name)
        edited = self._edited(mask)
        check_edited(mask, edited)
        self._change(draft, mask, edited)

    def _edited(self, mask: WeightMask) -> EditedWeights:
        return EditedWeights.open(self.weights, [key for key, item in mask.weights.items() if item.set_entries])

    def _change(self, draft: Draft, mask: WeightMask, edited: EditedWeights) -> None:
        weights = _held(draft)
        together = by_storage(weights)
        groups = tied_groups(mask, edited, weights, together)
        rows = {key: _row(key, mask, edited, weights[key]) for key in mask.weights}
        name, replaced = digest(mask, edited), set[str]()
        for key, tied in groups.items():
            if rows[key].changed_entries:
                why = f"{rows[key].set_entries} of {rows[key].entries} entries from {self.weights.name}"
                draft.set_weights(tied, MaskedMerge(mask, edited, key, name), why)
                replaced |= set(tied)
        for key in neighbours(replaced, together):
            draft.set_weights([key], _copied, "copied: its memory held old values of a masked weight beside its own")
        draft.details[self.name] = (*draft.details.get(self.name, ()), *rows.values())

    def entry(self, draft: Draft) -> str:
        """The line this pass adds to a program's history: names of the files, not their folders, and the digest."""
        mine = [make for make in _merges(draft) if (make.mask.path, make.edited.path) == (self.mask, self.weights)]
        names = f"mask={self.mask.name},weights={self.weights.name}"
        return f"{self.name},{names}; sha256 {_short(mine[0].digest)}; {CHANGED_WEIGHTS}"


def _short(digest: str) -> str:
    """A digest as a history shows it."""
    return digest[:16]


def _merges(draft: Draft) -> list[MaskedMerge]:
    """The masks' changes made in this draft."""
    makes = [new.make.makes if isinstance(new.make, InTurn) else (new.make,) for new in draft.new_tensors.values()]
    return [make for several in makes for make in several if isinstance(make, MaskedMerge)]


def _own_entries(draft: Draft) -> list[str]:
    return [entry for entry in draft.history if entry.startswith(f"{ApplyWeightMask.name},")]


def _ran_before(draft: Draft) -> bool:
    """Whether any mask was applied, in this draft or in the program's past."""
    return bool(_merges(draft) or _own_entries(draft))


def _is_applied(draft: Draft, mask: WeightMask, edited: EditedWeights) -> bool:
    """Whether this draft made this change before, or the program's past did and the values are still there."""
    name = digest(mask, edited)
    if any(make.digest == name for make in _merges(draft)):
        return True
    if not any(f"sha256 {_short(name)};" in entry for entry in _own_entries(draft)):
        return False
    kept = [key for key, item in mask.weights.items() if item.set_entries and key in draft.state]
    return all(torch.equal(chosen(mask, k, draft.state[k]), chosen(mask, k, edited.get(k))) for k in kept)


def _check_untouched(draft: Draft) -> None:
    """GraphlabError when another pass has changed weights, in this draft or in the program's past.

    Another mask may have been applied: names and shapes are then the same, and the hash tells whether this mask was
    made for the result.
    """
    entries = [entry.partition(";")[0] for entry in draft.history if entry.endswith(CHANGED_WEIGHTS)]
    others = [entry for entry in [*entries, *draft.reweighting] if entry.partition(",")[0] != ApplyWeightMask.name]
    if others:
        raise GraphlabError(
            f"it must come before every rewrite that changes weights, and {others[0]} has run",
            hint="apply the mask to the program as it was captured",
        )


def _held(draft: Draft) -> dict[str, torch.Tensor]:
    """Every tensor the program holds in plain memory, by key."""
    tensors = {**draft.constants, **draft.state}
    plain = {key: tensor for key, tensor in tensors.items() if type(tensor) in (torch.Tensor, torch.nn.Parameter)}
    return {k: t.detach() for k, t in plain.items() if not t.is_meta and t.layout is torch.strided}


def _row(key: str, mask: WeightMask, edited: EditedWeights, base: torch.Tensor) -> MaskRow:
    """The account of one weight; one without set entries need not be in the edited checkpoint."""
    item = mask.weights[key]
    if not item.set_entries:
        return MaskRow(key, item.shape, 0, item.entries, 0.0, 0, 0.0, None)
    return row_of(key, mask.bits(key), base, edited.get(key))


def _copied(tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The same values in memory of their own."""
    (tensor,) = tensors.values()
    return tensor.clone()
