"""The formats of `graphlab draw`: which file name means which, and how many nodes each can show."""

from __future__ import annotations

import os
from pathlib import Path

from graphlab.errors import UnknownNameError
from graphlab.names import nearest

FORMATS = ("model-explorer", "perfetto", "dot", "graphml")

LIMITS = {"model-explorer": 20_000, "dot": 1_000, "graphml": 20_000}
"""Nodes of a stage that a viewer still lays out in seconds; above it modules are collapsed."""

_SUFFIXES = {".dot": "dot", ".gv": "dot", ".graphml": "graphml", ".trace.json": "perfetto", ".trace": "perfetto"}


def format_of(path: str | os.PathLike[str] | None, named: str | None = None) -> str:
    """`named`, one of FORMATS, or the format that the name of `path` tells. UnknownNameError where neither does."""
    if named is not None:
        if named not in FORMATS:
            hint = f"{nearest(named, FORMATS)}known: {', '.join(FORMATS)}"
            raise UnknownNameError(f"no format is called {named!r}", hint=hint)
        return named
    name = "" if path is None else Path(path).name.lower()
    found = next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), None)
    if found is not None:
        return found
    if name.endswith(".json"):
        raise UnknownNameError(
            f"{path} may be meant for Model Explorer or for Perfetto",
            hint="say --format model-explorer or --format perfetto, or call it NAME.trace.json for Perfetto",
        )
    what = f"{path!s} does not tell what to draw" if path is not None else "nothing tells what to draw"
    raise UnknownNameError(what, hint=f"name a format ({', '.join(FORMATS)}), or end in {', '.join(_SUFFIXES)}")


def overlay_path(path: str, overlay: str) -> str:
    """Where the overlay of a picture at `path` goes: "unet.flops.json" beside "unet.json"."""
    return str(Path(path).with_name(f"{Path(path).name.removesuffix('.json')}.{overlay}.json"))
