"""Whether a mask, a base and an edited checkpoint belong together, said before anything is changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch._subclasses.fake_tensor import FakeTensor

from graphlab.masks.bits import selected
from graphlab.masks.checkpoint import EditedWeights
from graphlab.masks.errors import MaskError
from graphlab.masks.hashing import dtype_name, weight_hash
from graphlab.masks.reading import WeightMask
from graphlab.masks.sharing import tied
from graphlab.names import nearest


def check_base(mask: WeightMask, state: Mapping[str, torch.Tensor], name: str) -> None:
    """MaskError unless the weights `state` of the program `name` are those `mask` was made for.

    Names the first weight that is unknown, on the meta device, or differs, in the order of the mask.
    """
    for key in mask.weights:
        if key not in state:
            hint = f"{nearest(key, state)}a mask names weights as the program's state dict does"
            raise MaskError(f"{mask.path} has a key {key!r} that is no weight of {name}", hint=hint)
        if state[key].is_meta or isinstance(state[key], FakeTensor):
            raise MaskError(
                f"{name} has no weights: {key} is on the meta device",
                hint="capture it from a model whose weights are loaded",
            )
    different = [key for key, weight in mask.weights.items() if weight_hash(key, state[key]) != weight.sha256]
    if not different:
        return
    expected, got = mask.weights[different[0]], state[different[0]]
    if (dtype_name(got.dtype), tuple(got.shape)) == (expected.dtype, expected.shape):
        why = "has other values"
    else:
        why = f"is {dtype_name(got.dtype)} {tuple(got.shape)}, expected {expected.dtype} {expected.shape}"
    count = f"{len(different)} of {len(mask.weights)} weights differ"
    raise MaskError(
        f"{mask.path} is for another base: {different[0]} {why} ({count})",
        hint="use the model the mask was made for",
    )


def check_edited(mask: WeightMask, edited: EditedWeights) -> None:
    """MaskError unless the edited weights have the shapes and dtypes of the base's."""
    for key, weight in mask.weights.items():
        if not weight.set_entries:
            continue
        meta = edited.meta(key)
        if (meta.dtype, meta.shape) != (weight.dtype, weight.shape):
            raise MaskError(
                f"{edited.path}: {edited.prefix}{key} is {meta.dtype} {meta.shape}, "
                f"expected {weight.dtype} {weight.shape}",
                hint="save the edited weights in the dtype of the base: a cast would change every entry",
            )


def digest(mask: WeightMask, edited: EditedWeights) -> str:
    """SHA-256, in hexadecimal, of base, mask and the values it chooses: the same for the same change."""
    found = hashlib.sha256(bytes.fromhex(mask.base_sha256))
    for key, weight in mask.weights.items():
        found.update(mask.packed(key))
        if weight.set_entries:
            found.update(chosen(mask, key, edited.get(key)).numpy().tobytes())
    return found.hexdigest()


def chosen(mask: WeightMask, key: str, tensor: torch.Tensor) -> torch.Tensor:
    """The bits of the entries of `tensor` that the mask of `key` sets, in row-major order."""
    return selected(tensor, mask.bits(key))


def tied_groups(
    mask: WeightMask,
    edited: EditedWeights,
    weights: Mapping[str, torch.Tensor],
    together: Mapping[str, tuple[str, ...]],
) -> dict[str, tuple[str, ...]]:
    """{masked key with set entries: it and the weights tied to it}, each group once, under its first key.

    MaskError when two keys of one weight are masked and do not ask for the same: tied weights change together.
    """
    groups: dict[str, tuple[str, ...]] = {}
    owner: dict[str, str] = {}
    for key, weight in mask.weights.items():
        if weight.set_entries and key not in owner:
            groups[key] = tied(key, weights, together)
            owner |= dict.fromkeys(groups[key], key)
    for key in mask.weights:
        first = owner.get(key, key)
        if first != key and not _same_edit(first, key, mask, edited):
            raise MaskError(
                f"{first} and {key} are one weight of the program, and their masks or edited values differ",
                hint="tied weights change together: mask one of them, or both alike",
            )
    return groups


def _same_edit(first: str, second: str, mask: WeightMask, edited: EditedWeights) -> bool:
    if mask.packed(first) != mask.packed(second):
        return False
    return torch.equal(chosen(mask, first, edited.get(first)), chosen(mask, second, edited.get(second)))
