"""Rewritten programs as `.pt2` files: written beside their place, moved there when all of them are whole."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from graphlab.errors import GraphlabError
from graphlab.program import Program


class SavingError(GraphlabError):
    """A program that cannot be written where it was asked for; what was there before is still there."""


def holds_weights(program: Program) -> bool:
    """Whether the weights of `program` have values; those of one captured on the meta device have shapes alone."""
    assert program.exported is not None
    tensors = [*program.exported.state_dict.values(), *program.exported.constants.values()]
    return not any(isinstance(tensor, torch.Tensor) and tensor.is_meta for tensor in tensors)


Writer = Callable[[Path], None]
"""Writes a file or a new folder at the path it is given."""


def save_all(writers: Mapping[Path, Writer]) -> None:
    """Calls each of {path: writer} with a place beside its path, then moves everything there: all of them or none.

    Files that were there are replaced, folders are not. SavingError when a folder is missing or in the way, or
    something cannot be written; then everything is as it was.
    """
    made: dict[Path, Path] = {}
    path = Path()
    try:
        for path, writer in writers.items():
            target = path.resolve()
            made[target] = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent)) / target.name
            writer(made[target])  # under its own name, which torch writes into the file
        for path, temporary in made.items():
            _move(temporary, path)
    except OSError as error:
        raise SavingError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for temporary in made.values():
            shutil.rmtree(temporary.parent, ignore_errors=True)


def _move(temporary: Path, target: Path) -> None:
    if target.is_file() and temporary.is_file():
        temporary.chmod(target.stat().st_mode & 0o7777)
    temporary.replace(target)


def program_writer(program: Program) -> Writer:
    """Writes `program` as `torch.export.save` does; torch alone loads one without `graphlab::` operators."""
    return partial(_write, program)


def _write(program: Program, path: Path) -> None:
    assert program.exported is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations
            torch.export.save(program.exported, path)
    except OSError:
        raise
    except Exception as error:  # torch's serialiser raises what it likes, RuntimeError for a full disk among it
        reason = " ".join(str(error).split())[:200]
        raise SavingError(f"{program.name} cannot be saved: {type(error).__name__}: {reason}") from error
