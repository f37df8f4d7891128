"""Which packages of a runtime are installed: several distributions of ONNX Runtime share one folder."""

from __future__ import annotations

from importlib.metadata import distributions
from importlib.util import find_spec

_RUNTIME = "onnxruntime"
_OTHERS = ("onnxruntime-genai", "onnxruntime-extensions", "onnxruntime-tools")
"""Distributions with such names that install into folders of their own."""


def conflict() -> str | None:
    """Why `import onnxruntime` is not to be trusted: several distributions are installed over each other; else None."""
    found = _installed()
    if len(found) < 2:
        return None
    names = " and ".join(f"{name} {version}" for name, version in sorted(found.items()))
    return (
        f"{names} are installed into the same folder, each over files of the other: "
        f"`pip uninstall {' '.join(sorted(found))}`, then install the one you want"
    )


def missing(module: str, install: str) -> str | None:
    """That `module` is not installed, and the line that installs it; None where it is there."""
    if find_spec(module) is not None:
        return None
    return f"{module} is not installed: `pip install {install}`"


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for item in distributions():
        name = (item.metadata["Name"] or "").lower().replace("_", "-")
        if name == _RUNTIME or (name.startswith(f"{_RUNTIME}-") and name not in _OTHERS):
            found[name] = item.version
    return found
