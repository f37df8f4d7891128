"""Backends by name, found through the entry-point group `graphlab.backends`, built-in ones too, or in a file."""

from __future__ import annotations

from functools import cache

from graphlab.discovery.classes import class_registry
from graphlab.discovery.registry import Entry, Registry
from graphlab.lowering.base import Backend
from graphlab.rewriting.options import made_from

GROUP = "graphlab.backends"
NOUN = "backend"


@cache
def registry() -> Registry[type[Backend]]:
    """Every backend of an installed distribution, those that do not work with the reason."""
    return class_registry(GROUP, Backend, NOUN)  # type: ignore[type-abstract]  # only its subclasses are made


def backends() -> dict[str, Entry[type[Backend]]]:
    """{backend name: Entry} of those that work, sorted."""
    return dict(registry().entries)


def backend_from(spec: str) -> Backend:
    """The backend of "NAME[,KEY=VALUE]..." or "path/file.py:CLASS[,KEY=VALUE]...".

    UnknownNameError names the nearest backend or option, OptionError the option's type and range; PluginError for a
    file that holds no such backend, and for a backend that does not work.
    """
    return made_from(spec, registry(), Backend)  # type: ignore[type-abstract]  # only its subclasses are made


def own_backend_from(spec: str) -> Backend:
    """`backend_from` for graphlab's own use: its own backends, whoever else claims their names."""
    return made_from(spec, registry(), Backend, own=True)  # type: ignore[type-abstract]  # only its subclasses are made
