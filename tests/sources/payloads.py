"""Pickles that would run code if anybody unpickled them, and archives with members replaced."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.errors import GraphlabError, UnsafeSourceError
from graphlab.sources.archive import load_exported_program


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


def one_line(error: pytest.ExceptionInfo[GraphlabError]) -> str:
    """The message, which is one line of a sane length."""
    text = str(error.value)
    assert "\n" not in text
    assert 20 < len(text) < 600
    return text


def refused(path: Path, trap: Path, what: str, kind: type[GraphlabError] = UnsafeSourceError) -> None:
    """Assert that loading the program at `path` raises `kind` about `what`, and that `trap` was not created."""
    with pytest.raises(kind, match=what) as error:
        load_exported_program(path)
    one_line(error)
    assert not trap.exists()


def edit(name: str, change: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    """A change for `rewrite` that edits the JSON of the member that ends in `name`."""

    def run(member: str, data: bytes) -> bytes:
        if not member.endswith(name):
            return data
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return run
