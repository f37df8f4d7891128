"""Passes by name, found through the entry-point group `graphlab.passes` (built-in ones like anyone's), or in a file."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from graphlab.discovery import chosen
from graphlab.discovery.classes import class_registry
from graphlab.discovery.owner import PluginError
from graphlab.discovery.registry import Entry, Registry
from graphlab.passes_base import Pass

__all__ = ["Entry", "PassEntry", "PluginError", "called", "find_pass", "is_own", "own_pass", "passes", "registry"]

GROUP = "graphlab.passes"
NOUN = "pass"
THROUGH = (
    "graphlab.passes_base.Analysis, graphlab.rewriting.rewrite.Rewrite or graphlab.hoisting.stage_rewrite.StageRewrite"
)
"""What authors of passes derive from."""

PassEntry = Entry[type[Pass]]
"""A pass by name."""


@cache
def registry() -> Registry[type[Pass]]:
    """Every pass of an installed distribution, those that do not work with the reason."""
    return replace(class_registry(GROUP, Pass, NOUN), through=THROUGH)


def passes() -> dict[str, PassEntry]:
    """{pass name: PassEntry} of those that work, sorted."""
    return dict(registry().entries)


def find_pass(name: str) -> type[Pass]:
    """The class of the pass a user calls `name`.

    UnknownNameError suggests the nearest, PluginError says what is wrong with one that does not work, or who else
    claims the name.
    """
    return registry().find(name).value


def own_pass(name: str) -> type[Pass]:
    """`find_pass` for graphlab's own use, and for passes that ask for each other: graphlab keeps its own names."""
    return registry().own(name).value


def called(item: Pass) -> str:
    """What errors call `item`: by name, with the distribution or file it comes from where that is not graphlab."""
    return chosen.called(item, registry())


def is_own(item: Pass) -> bool:
    """Whether `item` is one of graphlab's, or was defined on the spot."""
    return chosen.is_own(type(item), registry())
