"""The manifest of a command: what was asked, of what, with which versions, and what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphlab.erase.sources.source import ErasureSource
from graphlab.erase.training.checkpoint import atomic_file
from graphlab.erase.training.manifest import installed_versions, threads
from graphlab.erase.training.model import module_hash

FORMAT, VERSION = "graphlab.erase.command", 1
SCHEMAS = {command: f"graphlab.erase-{command}/1" for command in ("saliency", "train", "fuse")}
"""{command: version of the layout of its results, where a page is made of them}."""


@dataclass(frozen=True)
class Record:
    """A `command` on `source`, whose weights hash to `base`, with its whole configuration; `seeds` by what they are
    for, `inputs` and `outputs` with their hashes, and whatever `results` are worth keeping."""

    command: str
    source: str
    base: str
    config: Mapping[str, Any]
    seeds: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """It with versions and threads, in values that JSON can write."""
        return {
            **({"schema": SCHEMAS[self.command]} if self.command in SCHEMAS else {}),
            "format": FORMAT,
            "version": VERSION,
            "command": self.command,
            "source": self.source,
            "base_sha256": self.base,
            "config": dict(self.config),
            "seeds": dict(self.seeds),
            "inputs_sha256": dict(self.inputs),
            "outputs_sha256": dict(self.outputs),
            "results": dict(self.results),
            "versions": installed_versions(),
            "threads": threads(),
        }

    def write(self, path: Path) -> None:
        """Writes `to_dict` as JSON, keys sorted. EraseError where it cannot be written."""
        with atomic_file(path) as file:
            file.write(json.dumps(self.to_dict(), indent=2, sort_keys=True, allow_nan=False).encode() + b"\n")


def made_of(before: ErasureSource, after: ErasureSource, mask: Path | None) -> dict[str, Any]:
    """What a comparison of two models was made of and with, for its report: hashes (SHA-256), versions, threads."""
    return {
        "source": before.name,
        "base_sha256": module_hash(before.model.module),
        "erased_sha256": module_hash(after.model.module),
        "mask_sha256": None if mask is None else file_hash(mask),
        "versions": installed_versions(),
        "threads": threads(),
    }


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes_of(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """{path within `folder`: SHA-256} of files."""
    return {str(path.relative_to(folder)): file_hash(path) for path in paths}
