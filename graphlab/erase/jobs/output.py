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
LONGEST = ".partial.00000000.part"
"""What is longest of all that names get at their end while a file is written."""
RESULTS = (MANIFEST, BASE, LORA, f"{STATE}/{RUN}", f"{STATE}/{CHECKPOINT}")


def claim_file(path: Path, source: ErasureSource, *, force: bool, beside: Iterable[Path] = ()) -> None:
    """EraseError, before any work, for a file that cannot be written, is part of `source`, or is there and not to be
    replaced.

    The same holds for the files `beside` it.
    """
    _check_name(path, LONGEST)
    _check_writable(path.parent)
    for place in (path, *beside):
        if _is_part(place.resolve(), source):
            raise EraseError(f"{place} is part of the source {source.name}", hint="write elsewhere")
        if place.is_dir():
            raise EraseError(f"cannot write {place}: it is a folder")
        if place.exists() and not force:
            raise EraseError(f"{place} is there already", hint="--force replaces it, -o writes elsewhere")


def claim_folder(folder: Path, source: ErasureSource, *, force: bool, resume: bool = False) -> None:
    """Makes `folder`, or with `force` deletes what an earlier run left in it, so that nothing of that is taken for a
    result of the next.

    EraseError for one that cannot be written, holds `source` itself, or holds something and is neither to be replaced
    nor gone on with (`resume`)."""
    _check_name(folder)
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
    if force and not resume:
        _drop_results(folder)


def _drop_results(folder: Path) -> None:
    drop(*(folder / name for name in RESULTS), *sorted((folder / "unet").glob("*.safetensors")))


def drop(*paths: Path) -> None:
    """Deletes files that are there; EraseError where one cannot be."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise EraseError(f"cannot delete {path}: {error.strerror or error}") from error


def _is_part(place: Path, source: ErasureSource) -> bool:
    """Whether a file is the source, or one that a pipeline consists of."""
    own = None if source.place is None else source.place.resolve()
    if own is None or own == place or not own.is_dir():
        return own == place
    return own in place.parent.parents or place == own / "model_index.json"


def _check_name(path: Path, end: str = "") -> None:
    """EraseError for a name that the file system refuses, with `end` behind it."""
    try:
        os.stat(path.parent / f".{path.name}{end}")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise EraseError(f"cannot write {str(path)[:80]}: {error.strerror or error}") from error


def _check_writable(folder: Path) -> None:
    home = folder.resolve()
    if not home.is_dir():
        raise EraseError(f"cannot write into {folder}: there is no such folder")
    if not os.access(home, os.W_OK | os.X_OK):
        raise EraseError(f"cannot write into {folder}: it is read-only")
