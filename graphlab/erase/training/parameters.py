"""Which parameters are trained or ranked: by a name for a part of a U-Net, or by a regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import nn

from graphlab.erase.errors import EraseError

REGEX = "regex:"


def _part(name: str, part: str) -> bool:
    return part in name.split(".")


FILTERS: Mapping[str, Callable[[str], bool]] = {
    "full": lambda name: True,
    "xattn": lambda name: _part(name, "attn2"),
    "selfattn": lambda name: _part(name, "attn1"),
    "noxattn": lambda name: not _part(name, "attn2"),
}
"""{name: whether a parameter is chosen}. diffusers calls self-attention attn1 and cross-attention attn2."""


def chosen(which: str) -> Callable[[str], bool]:
    """Whether a parameter's name is meant by `which`: a key of FILTERS, or "regex:" and what is searched in the name.

    EraseError for another name and a pattern that cannot be read.
    """
    if which in FILTERS:
        return FILTERS[which]
    if not which.startswith(REGEX):
        raise EraseError(
            f"no parameters are called {which!r}", hint=f"known: {', '.join(FILTERS)}, or {REGEX} and a pattern"
        )
    try:
        pattern = re.compile(which.removeprefix(REGEX))
    except re.error as error:
        raise EraseError(f"the pattern of {which!r} cannot be read: {error}") from error
    return lambda name: pattern.search(name) is not None


def select(module: nn.Module, which: str) -> dict[str, nn.Parameter]:
    """{name: parameter} of the floating-point parameters meant by `which`, a tied one once, in the module's order.

    EraseError where there is none.
    """
    fits = chosen(which)
    found = {
        name: parameter
        for name, parameter in module.named_parameters()
        if fits(name) and parameter.is_floating_point() and parameter.numel()
    }
    if not found:
        raise EraseError(f"{which!r} names no parameter of {type(module).__name__}")
    return found
