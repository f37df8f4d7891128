"""Which entries of a model's weights differ from another's, to the bit, and whether a mask allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.roles import role_of


@dataclass(frozen=True, slots=True)
class Changed:
    """A weight `key`: `changed` of its `entries` have other bits than before, `outside` of them where the mask, if
    there is one, lets none change."""

    key: str
    entries: int
    changed: int
    outside: int | None


@dataclass(frozen=True, slots=True)
class ChangedRole:
    """All weights of a `role`: `changed_weights` of them hold an entry with other bits, `changed` of their `entries`
    are such; `outside` of these where the mask lets none change, None without a mask."""

    role: str
    weights: int
    changed_weights: int
    entries: int
    changed: int
    outside: int | None


def changed_roles(rows: Sequence[Changed]) -> tuple[ChangedRole, ...]:
    """A row for every role of weights, in the order in which the weights come first."""
    groups: dict[str, list[Changed]] = {}
    for row in rows:
        groups.setdefault(role_of(row.key), []).append(row)
    return tuple(
        ChangedRole(
            role,
            weights=len(group),
            changed_weights=sum(bool(row.changed) for row in group),
            entries=sum(row.entries for row in group),
            changed=sum(row.changed for row in group),
            outside=None if group[0].outside is None else sum(row.outside or 0 for row in group),
        )
        for role, group in groups.items()
    )


def changed_weights(
    before: Mapping[str, torch.Tensor],
    after: Mapping[str, torch.Tensor],
    masks: Mapping[str, torch.Tensor] | None = None,
) -> tuple[Changed, ...]:
    """A row for every weight of two state dicts; -0 is not 0, and a NaN is itself.

    `masks` {key: boolean tensor of the weight's shape} says where entries may change; a weight that it does not name
    may not at all. EraseError for weights that are not in both, or have another shape or dtype.
    """
    if set(before) != set(after):
        raise EraseError(f"the models differ in their weights: {sorted(set(before) ^ set(after))[0]}")
    rows = []
    for key, one in before.items():
        other = after[key]
        if one.shape != other.shape or one.dtype != other.dtype:
            raise EraseError(f"{key} was {tuple(one.shape)} {one.dtype} and is {tuple(other.shape)} {other.dtype}")
        differ = _differ(one, other)
        outside = None
        if masks is not None:
            allowed = masks.get(key)
            outside = int((differ & ~allowed).sum() if allowed is not None else differ.sum())
        rows.append(Changed(key, one.numel(), int(differ.sum()), outside))
    return tuple(rows)


def outside(rows: tuple[Changed, ...]) -> int:
    """Entries changed that the mask lets none change; 0 is what masked training promises."""
    return sum(row.outside or 0 for row in rows)


def _differ(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """A boolean tensor of their shape: where the bytes of two tensors differ."""
    size = one.element_size()
    first, second = (
        value.detach().cpu().contiguous().reshape(-1, 1).view(torch.uint8).reshape(-1, size) for value in (one, other)
    )
    return (first != second).any(1).reshape(one.shape)
