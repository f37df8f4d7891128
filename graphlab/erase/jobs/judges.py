"""The judges of a base: those that come with graphlab, or a CNN of one's own beside the one that needs no file."""

from __future__ import annotations

from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.cnn_judge import load_judge
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.shipped import judges_of
from graphlab.erase.worlds.template_judge import template_judge


def judges_for(world: str, file: Path | None = None) -> tuple[Judge, ...]:
    """Both judges of a world, the CNN from `file` where one is given.

    EraseError for a judge of another world, a file that is none, and a CNN that does not come with this installation.
    """
    if file is None:
        return judges_of(world)
    judge = load_judge(file)
    if judge.world.name != world:
        raise EraseError(f"{file} judges the world {judge.world.name!r}, and not {world!r}")
    return judge, (template_judge() if world == "layout" else pixel_judge())
