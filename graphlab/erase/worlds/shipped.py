"""The bases and judges that come with graphlab, by name; `worlds/files` holds them as safetensors."""

from __future__ import annotations

from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.cnn_judge import CnnJudge, load_judge
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.template_judge import template_judge
from graphlab.models.erase_bases import BASES, FILES
from graphlab.names import nearest

__all__ = ["BASES", "FILES", "judges_of", "shipped", "shipped_judge", "shipped_names"]


def shipped(name: str, folder: Path = FILES) -> Base:
    """The base of that name, in evaluation mode, read anew by every call; EraseError for one that is not there."""
    return load_base(_path(name, folder))


def shipped_judge(world: str, folder: Path = FILES) -> CnnJudge:
    """The CNN judge of a world, the file `judge-<world>`; EraseError for an unknown world and a missing file."""
    return load_judge(_path(f"judge-{world_of(world).name}", folder))


def judges_of(world: str, folder: Path = FILES) -> tuple[CnnJudge, Judge]:
    """Both judges of a world: the CNN that things are tuned with, and the one that results are reported with.

    The second shares nothing with it: the exact decoder of the layout world, the pixels' machine of the digits.
    """
    return shipped_judge(world, folder), (template_judge() if world == "layout" else pixel_judge())


def shipped_names(folder: Path = FILES) -> tuple[str, ...]:
    """Names of the bases that are in the folder, sorted."""
    return tuple(name for name in _all(folder) if not name.startswith("judge-"))


def _all(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def _path(name: str, folder: Path) -> Path:
    known = _all(folder)
    if name not in known:
        there = nearest(name, known) or (f"there are: {', '.join(known)}" if known else "none is there")
        raise EraseError(f"no shipped model is called {name!r}", hint=there)
    return folder / f"{name}.safetensors"
