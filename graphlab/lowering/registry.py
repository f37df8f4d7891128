"""Backends by name, found through the entry-point group `graphlab.backends`: built-in ones come the way of anyone's."""

from __future__ import annotations

from functools import cache

from graphlab.lowering.base import Backend
from graphlab.plugins import Entry, discovered, found
from graphlab.rewriting.options import build, split_spec

GROUP = "graphlab.backends"
NOUN = "backend"


@cache
def backends() -> dict[str, Entry[Backend]]:
    """{backend name: Entry}, sorted; a name claimed twice raises PluginError naming both owners."""
    return discovered(GROUP, Backend, NOUN)  # type: ignore[type-abstract]  # only its subclasses are made


def backend_from(spec: str) -> Backend:
    """The backend of "NAME[,KEY=VALUE]...".

    UnknownNameError names the nearest backend or option, OptionError the option's type and range.
    """
    name, values = split_spec(spec)
    return build(found(backends(), name, NOUN), values, NOUN)
