"""Where results go: checked before any work, and never written over by accident."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from graphlab.erase.errors import EraseError
from graphlab.erase.jobs.lora_file import FILE as LORA
from graphlab.erase.sources.of_base import FILE as BASE
from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.loop import CHECKPOINT
from graphlab.erase.training.loop import MANIFEST as RUN

MANIFEST, STATE = "manifest.json", "state"
"""The manifest of a command, and the folder of a run: its own manifest and its last checkpoint."""
RESULTS = (MANIFEST, BASE, LORA, f"{STATE}/{RUN}", f"{STATE}/{CHECKPOINT}")


def claim_file(path: Path, *, force: bool, beside: Iterable[Path] = ()) -> None:
    """EraseError, before any work, for a file that cannot be written, or is there and not to be replaced.

    The same holds for the files `beside` it.
    """
    _check_writable(path.parent)
    for place in (path, *beside):
        if place.is_dir():
            raise EraseError(f"cannot write {place}: it is a folder")
        if place.exists() and not force:
            raise EraseError(f"{place} is there already", hint="--force replaces it, -o writes elsewhere")


def claim_folder(folder: Path, source: ErasureSource, *, force: bool, resume: bool = False) -> None:
    """Makes `folder`; EraseError for one that cannot be written, holds `source` itself, or holds something and is
    neither to be replaced nor gone on with."""
    place = None if source.place is None else source.place.resolve()
    if place is not None and folder.resolve() == (place if place.is_dir() else place.parent):
        raise EraseError(f"{folder} holds the source {source.name}", hint="write elsewhere")
    if folder.exists() and not folder.is_dir():
        raise EraseError(f"cannot write into {folder}: it is a file")
    if resume and not folder.is_dir():
        raise EraseError(f"there is no folder {folder} to resume from")
    if folder.is_dir() and any(folder.iterdir()) and not (force or resume):
        raise EraseError(f"{folder} is not empty", hint="--force replaces what is in it, -o writes elsewhere")
    _check_writable(folder if folder.is_dir() else folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise EraseError(f"cannot make {folder}: {error.strerror or error}") from error


def drop_results(folder: Path) -> None:
    """Deletes what an earlier run left in `folder`, so that nothing of it is taken for a result of the next."""
    drop(*(folder / name for name in RESULTS), *sorted((folder / "unet").glob("*.safetensors")))


def drop(*paths: Path) -> None:
    """Deletes files that are there; EraseError where one cannot be."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise EraseError(f"cannot delete {path}: {error.strerror or error}") from error


def _check_writable(folder: Path) -> None:
    home = folder.resolve()
    if not home.is_dir():
        raise EraseError(f"cannot write into {folder}: there is no such folder")
    if not os.access(home, os.W_OK | os.X_OK):
        raise EraseError(f"cannot write into {folder}: it is read-only")
