"""Stage calls on disk, beside the captures: keyed by the stage, its sizes, every version and graphlab's own code."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from graphlab.kernels.data import StageCall
from graphlab.sources import cache
from graphlab.workload import Stage


def call_path(stage: Stage, sizes: Mapping[str, int], *, dynamic: bool) -> Path | None:
    """The file the call of `stage` at `sizes` ({axis: size}) is kept in; None without an identity or a cache."""
    folder = cache.directory()
    if folder is None or not stage.identity:
        return None
    parts = [stage.identity, stage.name, stage.dtype, repr(stage.inputs), repr(sorted(sizes.items())), str(dynamic)]
    text = chr(0).join([*parts, cache.versions(), code_digest()])
    return folder / f"call-{hashlib.sha256(text.encode()).hexdigest()[:40]}.json.gz"


def load_call(path: Path | None) -> StageCall | None:
    """The call kept at `path`, or None when there is none or the entry is damaged (it is then made anew)."""
    if path is None:
        return None
    try:
        return StageCall.from_dict(json.loads(gzip.decompress(path.read_bytes())))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error):
        return None


def store_call(path: Path | None, call: StageCall) -> None:
    """Write `call` to `path`, whole or not at all; a cache that cannot be written is no error."""
    if path is not None:
        cache.write(path, json.dumps(call.to_dict(), separators=(",", ":")).encode())


_FOLDERS = ("ops", "kernels", "sources", "components", "architectures")
_MODULES = ("graph", "symbolic", "flow", "facts", "costing", "input_axes", "pipeline", "stage_analysis")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of everything of graphlab that shapes a stage's call: what makes kernels of a graph, and the passes."""
    digest = hashlib.sha256()
    passes = find_spec("graphlab.passes")  # found, not imported: passes come in as plug-ins
    assert passes is not None
    library = Path(__file__).parent.parent
    homes = [library / name for name in _FOLDERS] + [Path(path) for path in passes.submodule_search_locations or ()]
    files = {path for home in homes for path in home.rglob("*.py")} | {library / f"{name}.py" for name in _MODULES}
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
