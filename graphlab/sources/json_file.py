"""JSON objects from files of strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphlab.errors import SourceError


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; SourceError when it cannot be read or is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise SourceError(f"{path} holds a JSON {type(data).__name__}, not an object")
    return data
