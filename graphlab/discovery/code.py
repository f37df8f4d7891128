"""A digest of the code of a plug-in: what was worked out by it is kept until the code is edited."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from graphlab.discovery.files import is_file_module


def code_digest(module: str) -> str:
    """A digest of the Python files of the package that the imported `module` belongs to.

    Of a user's file, and of a module without a package: of it and of what was imported beside it so far.
    """
    digest = hashlib.sha256()
    for path in sorted(set(_files(module))):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:16]


def _files(module: str) -> Iterator[Path]:
    top = module.partition(".")[0]
    root = sys.modules.get(top)
    if root is not None and hasattr(root, "__path__") and not is_file_module(root):
        for folder in root.__path__:
            yield from Path(folder).rglob("*.py")
        return
    for name, loaded in list(sys.modules.items()):
        file = getattr(loaded, "__file__", None)
        if name.partition(".")[0] == top and isinstance(file, str):
            yield Path(file)
