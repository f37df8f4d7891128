"""The page of a command whose report is its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from graphlab.cli.destinations import Destinations, destinations
from graphlab.cli.output import STDOUT


@contextmanager
def page_of(html: str | None, source: str, written: Iterable[Path]) -> Iterator[Destinations]:
    """`destinations` of the page `html`; BadParameter where that is the `source`, or one of the files `written`."""
    check_apart({"--html": html}, source, written)
    with destinations({"--html": html}) as out:
        yield out


def check_apart(asked: dict[str, str | None], source: str, written: Iterable[Path]) -> None:
    """BadParameter, before any work, for reports {option: path} that would replace the source or a result."""
    taken = {os.path.realpath(path): "written as well" for path in written}
    if source:
        taken[os.path.realpath(source)] = "the source"
    for option, path in asked.items():
        if path not in (None, STDOUT) and (what := taken.get(os.path.realpath(path))) is not None:
            raise typer.BadParameter(f"{path} is {what}", param_hint=f"'{option}'")


def results_in(folder: Path) -> list[Path]:
    """`folder`, and the files that a command of `graphlab erase` may write into it."""
    from graphlab.erase.jobs.demo import BASE, MASK, PICTURE, RECORD
    from graphlab.erase.jobs.output import RESULTS

    return [folder, *(folder / name for name in (*RESULTS, BASE, MASK, PICTURE, RECORD))]


def with_manifest(mask: Path) -> list[Path]:
    """The file of a `mask`, and that of its manifest."""
    from graphlab.erase.jobs.saliency import MANIFEST

    return [mask, Path(f"{mask}{MANIFEST}")]


def manifest_page(manifest: Path) -> str:
    """The HTML of the `manifest` that a command wrote, as `graphlab report` makes it."""
    from graphlab.pages.saved import saved_page

    return saved_page(manifest)
