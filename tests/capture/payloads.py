"""Pickles that would run code if anybody unpickled them, and archives with members replaced."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Touch:
    """Pickles to a call that creates the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('pathlib').Path({str(self.path)!r}).touch()",)


def pickled(path: Path, protocol: int) -> bytes:
    """A plain pickle that would create `path`."""
    return pickle.dumps((torch.Size([1]), Touch(path)), protocol=protocol)


def saved(path: Path, *, protocol: int = 2, legacy: bool = False) -> bytes:
    """A torch.save file of a tuple with a payload that would create `path`."""
    buffer = io.BytesIO()
    torch.save(
        ((torch.ones(1), Touch(path)), {}),
        buffer,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=not legacy,
    )
    return buffer.getvalue()


def rewrite(
    source: Path, target: Path, change: Callable[[str, bytes], bytes], extra: dict[str, bytes] | None = None
) -> Path:
    """`source` with every member put through `change` and `extra` members added (names inside the root folder)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        root = old.namelist()[0].partition("/")[0]
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename, old.read(info)))
        for name, data in (extra or {}).items():
            new.writestr(f"{root}/{name}", data)
    return target


def safetensors(header: bytes | str, data: bytes = b"") -> bytes:
    """A safetensors file of this header text."""
    text = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(text)) + text + data
