"""The formats of `graphlab draw`: which file name means which, and how many nodes each can show."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from graphlab.errors import UnknownNameError
from graphlab.names import nearest

FORMATS = ("model-explorer", "perfetto", "dot", "graphml")

LIMITS = {"model-explorer": 20_000, "dot": 1_000, "graphml": 20_000}
"""Nodes a stage is drawn with unless told otherwise; above it modules are collapsed."""

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


def mask_names(count: int) -> list[str]:
    """What the overlays of `count` masks are called: "mask-density", numbered from 1 where there are several."""
    return ["mask-density"] if count == 1 else [f"mask-density-{number}" for number in range(1, count + 1)]


def overlay_names(*, timed: bool, masks: int) -> list[str]:
    """The overlays of a picture for Model Explorer, before anything is worked out; `timed` with a device."""
    return ["flops", "bytes", "category", *(["time"] if timed else []), *mask_names(masks)]


def opening(kind: str, paths: Sequence[str]) -> list[str]:
    """How to look at a picture whose files are `paths`, in words and commands."""
    first = shlex.quote(paths[0]) if paths else "FILE"
    if kind == "model-explorer":
        data = f" --node_data_paths {shlex.quote(','.join(paths[1:]))}" if len(paths) > 1 else ""
        return [f"pip install ai-edge-model-explorer && model-explorer {first}{data}"]
    if kind == "perfetto":
        return ["https://ui.perfetto.dev (Open trace file), or chrome://tracing; the file stays on this machine"]
    if kind == "dot":
        return [f"dot -Tsvg {first} -o picture.svg"]
    return [f"networkx.read_graphml({paths[0] if paths else 'FILE'!r}), or Gephi, yEd, Cytoscape"]
