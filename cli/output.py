"""Where a report goes: files written whole or not at all, or standard output, which then holds nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from graphlab.errors import GraphlabError

STDOUT = "-"


class OutputError(GraphlabError):
    """A path that cannot be written; nothing was written to it."""


def check_outputs(paths: Mapping[str, str]) -> None:
    """Fails before the long work: BadParameter for two writers of one place, OutputError for a hopeless path.

    `paths` maps options ("--json") to where they write.
    """
    seen: dict[str, str] = {}
    for option, path in paths.items():
        place = path if path == STDOUT else os.path.realpath(path)
        if place in seen:
            what = "standard output" if path == STDOUT else path
            raise typer.BadParameter(f"{seen[place]} and {option} both write to {what}", param_hint=f"'{option}'")
        seen[place] = option
        if path != STDOUT:
            _check(Path(path))


def check_apart(paths: Mapping[str, str], read: Iterable[str | Path], written: Iterable[Path]) -> None:
    """BadParameter, before any work, for one of `paths` ({option: path}) that is also `read` or `written`."""
    taken = {os.path.realpath(path): "what the command writes itself" for path in written}
    taken |= {os.path.realpath(path): "what the command reads" for path in read}
    for option, path in paths.items():
        if path != STDOUT and (what := taken.get(os.path.realpath(path))) is not None:
            raise typer.BadParameter(f"{path} is {what}", param_hint=f"'{option}'")


def _check(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {folder}")
    if path.exists() and not os.access(path, os.W_OK):
        raise OutputError(f"cannot write {path}: it is read-only")
    if not (path.exists() and not path.is_file()) and not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: the folder {folder} is read-only")


def check_folder(path: Path | None, option: str, outputs: Mapping[str, str]) -> None:
    """Fails before the long work when no files can be written into `path`, a folder that may not be there yet.

    BadParameter, as of `option`, for standard output, and where one of `outputs` ({option: path}) is to be a file at
    that place.
    """
    if path is None:
        return
    if str(path) == STDOUT:
        raise typer.BadParameter("files go into a folder; standard output is none", param_hint=f"'{option}'")
    for other, place in outputs.items():
        if place != STDOUT and os.path.realpath(place) == os.path.realpath(path):
            raise typer.BadParameter(f"{other} is to be a file at {path}, not a folder", param_hint=f"'{option}'")
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write into {path}: it is a file")
    home = path if path.is_dir() else path.resolve().parent
    if not home.is_dir():
        raise OutputError(f"cannot write into {path}: there is no folder {home}")
    if not os.access(home, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {path}: the folder {home} is read-only")


def write_folder(path: Path | None, texts: Mapping[str, str]) -> None:
    """Writes {file name: text} into `path`, which is made where it is not there; nothing for None."""
    if path is None:
        return
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path}: {error.strerror or error}") from error
    for name, text in texts.items():
        write_output(path / name, text)


def write_output(path: str | Path, text: str) -> None:
    """Writes beside the target and renames, so that a reader sees the old file or the whole new one."""
    target = Path(path).resolve()
    data = text.encode("utf-8", "backslashreplace")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():  # a device or a pipe: renaming would replace it
            target.write_bytes(data)
            return
        try:
            temporary.write_bytes(data)
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
