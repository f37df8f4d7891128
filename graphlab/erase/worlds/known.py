"""Worlds by name."""

from __future__ import annotations

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.digits import DigitsWorld
from graphlab.erase.worlds.layout import LayoutWorld
from graphlab.erase.worlds.world import World

WORLDS = ("digits", "layout")


def world_of(name: str) -> World:
    """The world of that name; EraseError for another."""
    if name == "digits":
        return DigitsWorld()
    if name == "layout":
        return LayoutWorld()
    raise EraseError(f"there is no world {name!r}", hint=f"known: {', '.join(WORLDS)}")
