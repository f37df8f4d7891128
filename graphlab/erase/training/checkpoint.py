"""Checkpoints: all a run needs to go on as if it had never stopped, in one file that is whole or not there."""

from __future__ import annotations

import os
import secrets
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import torch

from graphlab.erase.errors import EraseError

FORMAT = "graphlab.erase.checkpoint"
VERSION = 1
_ANEW = "begin anew with --force"

History = list[dict[str, float]]
"""{term: loss} of every iteration so far."""


@dataclass(frozen=True)
class Checkpoint:
    """After `iteration` iterations: trained `weights`, state of the `optimizer`, of both generators, of the backend.

    `fingerprint` is that of configuration, base, mask and prompts: a run goes on only from its own. `evaluations` are
    the samples networks were asked for so far, (with gradient, without).
    """

    fingerprint: str
    iteration: int
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    generator: torch.Tensor
    torch_generator: torch.Tensor
    backend: dict[str, Any]
    history: History
    evaluations: tuple[int, int]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes `checkpoint` to `path`: what was there stays until the new one is on the disk."""
    with atomic_file(path) as file:
        torch.save({"format": FORMAT, "version": VERSION, **vars(checkpoint)}, file)


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint at `path`, read without running what a file may hold, its tensors on the CPU.

    EraseError for a file that cannot be read, is damaged, or is no checkpoint of this version.
    """
    values = read_saved(path)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise EraseError(f"{path} is no checkpoint of a training run")
    version = values.pop("version", None)
    if version != VERSION:
        raise EraseError(f"{path} is a checkpoint of version {version}, expected {VERSION}")
    if set(values) != {field.name for field in fields(Checkpoint)}:
        raise EraseError(f"{path} is a checkpoint with other entries than this version writes")
    return Checkpoint(**values)


def read_saved(path: Path) -> Any:
    """What `torch.save` wrote to `path`, read without running what a file may hold, its tensors on the CPU.

    EraseError for a file that cannot be read, or is damaged: torch itself takes wrong bytes of a tensor as they come.
    """
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        if damaged is None:
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # wrong bytes can make the readers of zips and pickles raise anything
        raise EraseError(f"cannot read {path}: {str(error) or type(error).__name__}", hint=_ANEW) from error
    raise EraseError(f"{path} is damaged: {damaged} has other bytes than were written", hint=_ANEW)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` when all of it is on the disk, and vanishes on an error."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise EraseError(f"cannot write {path}: {error}", hint="check the folder and its permissions") from error
    finally:
        part.unlink(missing_ok=True)
