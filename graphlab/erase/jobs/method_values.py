"""A named method of the study as values of a configuration."""

from __future__ import annotations

from math import inf
from typing import Any

from graphlab.erase.errors import EraseError
from graphlab.erase.methods.known import METHODS, method
from graphlab.erase.methods.method import Finetuning, Masking
from graphlab.erase.training.strict import plain


def trained_methods() -> tuple[str, ...]:
    """Names of the methods that train under the objective, with or without a mask."""
    return tuple(name for name, found in METHODS.items() if isinstance(found.how, Finetuning))


def from_method(name: str) -> dict[str, Any]:
    """Term weights, t', paths and mask of a method. EraseError for an unknown one, and one that trains no weights."""
    how = method(name).how
    if not isinstance(how, Finetuning):
        raise EraseError(
            f"{name} is no training of weights under the objective", hint=f"known: {', '.join(trained_methods())}"
        )
    path: dict[str, Any] = {"sampler": how.sampler}
    maps: dict[str, Any] = {}
    if how.boundary is not None:
        path["boundary"] = maps["boundary"] = how.boundary
    values: dict[str, Any] = {"training": {"objective": plain(how.objective), "path": path}, "maps": maps}
    if how.masking is not None:
        maps.update(_maps(how.masking))
        values["forms"] = how.masking.forms
        if how.masking.random:
            values["random"] = 0
    return values


def _maps(masking: Masking) -> dict[str, Any]:
    found: dict[str, Any] = {
        "seeds": list(range(masking.seeds)),
        "fraction": masking.fraction,
        "ranking": masking.ranking,
        "keep": masking.keep,
        "draws": masking.draws,
        "batch": masking.draws,
    }
    if masking.everywhere:
        found["boundary"] = -inf
    return found
