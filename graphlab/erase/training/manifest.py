"""The manifest of a run: what it was made of, so that it can be made again."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.training.checkpoint import atomic_file
from graphlab.erase.training.config import text_hash

PACKAGES = ("graphlab", "torch", "diffusers", "accelerate", "peft", "numpy")


@dataclass(frozen=True, slots=True)
class Manifest:
    """`config` as a mapping, hashes (SHA-256, hexadecimal) of `base`, `teacher`, `mask` (None without one) and of each
    of the `prompts`; `seeds` by what they are for; `versions` of packages that are installed; `threads` of torch."""

    config: Mapping[str, Any]
    base: str
    teacher: str
    mask: str | None
    prompts: Mapping[str, str]
    seeds: Mapping[str, int]
    versions: Mapping[str, str]
    threads: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the result: everything but versions and threads."""
        return text_hash([dict(self.config), self.base, self.teacher, self.mask, dict(self.prompts)])

    def write(self, path: Path) -> None:
        """Writes it as JSON, keys sorted."""
        values = {
            "format": "graphlab.erase.manifest",
            "version": 1,
            "fingerprint": self.fingerprint,
            "base_sha256": self.base,
            "teacher_sha256": self.teacher,
            "mask_sha256": self.mask,
            "prompts_sha256": dict(self.prompts),
            "config": dict(self.config),
            "seeds": dict(self.seeds),
            "versions": dict(self.versions),
            "threads": self.threads,
        }
        with atomic_file(path) as file:
            file.write(json.dumps(values, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n")


def installed_versions() -> dict[str, str]:
    """{package: version} of what can decide a result and is installed, and of Python."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def threads() -> int:
    """How many threads torch computes one operator with: results are the same to the bit for the same number."""
    return torch.get_num_threads()


def changed(path: Path, manifest: Manifest) -> str:
    """What differs between the manifest at `path` and `manifest`, as "config.rate, mask_sha256"; "" for nothing.

    EraseError for a file that cannot be read.
    """
    try:
        before = json.loads(path.read_text())
        config = before["config"]
        known = {name: before[name] for name in ("base_sha256", "teacher_sha256", "mask_sha256", "prompts_sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EraseError(f"cannot read the manifest {path}: {error!r}") from error
    now = {
        "base_sha256": manifest.base,
        "teacher_sha256": manifest.teacher,
        "mask_sha256": manifest.mask,
        "prompts_sha256": dict(manifest.prompts),
    }
    return ", ".join(_differing("config", config, dict(manifest.config)) + _differing("", known, now))


def _differing(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        name = f"{where}.{key}" if where else key
        if isinstance(one, Mapping) and isinstance(other, Mapping) and where:
            found += _differing(name, one, other)
        elif one != other:
            found.append(name)
    return found
