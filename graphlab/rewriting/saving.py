"""Rewritten programs as `.pt2` files: written beside their place, moved there when all of them are whole."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Mapping
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


def save_programs(programs: Mapping[Path, Program]) -> None:
    """Writes {path: program} as `torch.export.save` does, all of them or none; files that were there are replaced.

    torch alone loads a program without `graphlab::` operators: run decompose-fused first.
    SavingError when a folder is missing, something cannot be written, or torch cannot serialise a program.
    """
    made: dict[Path, Path] = {}
    try:
        for path, program in programs.items():
            target = path.resolve()
            made[target] = _beside(target) / target.name  # torch writes the file's own name into it
            _write(program, made[target])
        for target, temporary in made.items():
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o7777)
            temporary.replace(target)
    except OSError as error:
        raise SavingError(f"cannot write {error.filename or target}: {error.strerror or error}") from error
    finally:
        for temporary in made.values():
            shutil.rmtree(temporary.parent, ignore_errors=True)


def _beside(target: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))


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
