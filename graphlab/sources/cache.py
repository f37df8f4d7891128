"""Captured graphs on disk: compressed JSON, keyed by what was captured and by every version that shaped it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from graphlab.program import Program
from graphlab.sources.record import graph_from_json, graph_to_json
from graphlab.workload import Stage

_PACKAGES = ("torch", "diffusers", "transformers", "graphlab")


def directory() -> Path | None:
    """Where captures are kept: $GRAPHLAB_CACHE ("off" for nowhere), else the user's cache directory."""
    chosen = os.environ.get("GRAPHLAB_CACHE")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "graphlab"


def key(stage: Stage, sizes: Mapping[str, int], symbolic: bool) -> Path | None:
    """The file a capture of `stage` at `sizes` ({axis: size}) is kept in; None without an identity or a cache.

    Nothing else of a workload's values shapes a capture: one serves every number of steps and guidance.
    """
    folder = directory()
    if folder is None or not stage.identity:
        return None
    parts = [stage.identity, stage.name, repr(stage.inputs), repr(sorted(sizes.items())), str(symbolic), versions()]
    return folder / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:40]}.json.gz"


def load(path: Path | None) -> Program | None:
    """The cached Program, or None when there is none or the entry is damaged (it is then captured anew)."""
    if path is None or not path.exists():
        return None
    try:
        record = json.loads(gzip.decompress(path.read_bytes()))
        return Program(record["name"], graph_from_json(record["graph"]), None, tuple(record["notes"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error):
        return None


def store(path: Path | None, program: Program) -> None:
    """Write `program` to `path`, whole or not at all; a cache that cannot be written is no error."""
    if path is None:
        return
    record = {"name": program.name, "graph": graph_to_json(program.graph), "notes": list(program.notes)}
    write(path, json.dumps(record, separators=(",", ":")).encode())


def write(path: Path, data: bytes) -> None:
    """`data`, compressed, to `path`: whole or not at all, however many processes write it at once."""
    data = gzip.compress(data, compresslevel=3, mtime=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)


@lru_cache(maxsize=1)
def versions() -> str:
    """Versions of the packages that decide a capture, and a digest of graphlab's own code that shapes one."""
    digest = hashlib.sha256()
    sources = Path(__file__).parent
    shaping = [sources / f"{name}.py" for name in ("arguments", "extract", "guards", "module", "record")]
    modules = [file for name in ("components", "architectures") for file in (sources.parent / name).glob("*.py")]
    for file in [*shaping, *sorted(modules)]:
        digest.update(file.read_bytes())
    return " ".join([*(f"{name}={_version(name)}" for name in _PACKAGES), digest.hexdigest()])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
