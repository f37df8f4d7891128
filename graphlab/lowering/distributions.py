"""Whether the package of a runtime is installed, and as one."""

from __future__ import annotations

from importlib.util import find_spec

from graphlab.exporting.probe import runtime_conflict


def conflict() -> str | None:
    """Why `import onnxruntime` is not to be trusted: several distributions are installed over each other; else None."""
    return runtime_conflict() or None


def missing(module: str, install: str) -> str | None:
    """That `module` is not installed, and the line that installs it; None where it is there."""
    if find_spec(module) is not None:
        return None
    return f"{module} is not installed: `pip install {install}`"
