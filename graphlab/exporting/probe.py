"""Which operators of com.microsoft the installed ONNX Runtime has kernels for: each is tried, in a process of its own.

Asking a build for its list of kernels crashes some of them, and a model with an operator that has none loads and fails
when it runs: so models of one node are run, in half precision too. What was found is kept with the captures.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from graphlab.exporting.probing import TRIALS
from graphlab.exporting.targets import Target
from graphlab.sources.cache import directory, write

RUNTIME = "onnxruntime"
_ELSEWHERE = ("onnxruntime-genai", "onnxruntime-extensions", "onnxruntime-tools")
"""Distributions with such names that install into folders of their own."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """What `provider` runs: `present` in float32, `half` in float16, `absent` {operator: why} of float32.

    `available` is False where the provider itself cannot run here; then `why` says so and nothing was tried.
    """

    provider: str
    present: frozenset[str] = frozenset()
    half: frozenset[str] = frozenset()
    absent: Mapping[str, str] = field(default_factory=dict)
    available: bool = True
    why: str = ""


def kernels(provider: str) -> Kernels:
    """What the installed ONNX Runtime runs on `provider`; from the cache where it was asked before.

    Every operator of TRIALS is a model of one node, run in a child process in float32 and float16. An operator that
    ends the process counts as absent, the rest is tried again without it.
    """
    path = _cached_at(provider)
    if path is not None and path.exists():
        try:
            return _from_json(json.loads(gzip.decompress(path.read_bytes())))
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error):
            pass  # damaged: it is asked again
    found = _probed(provider)
    if path is not None and found.available:  # a driver or memory that is missing may be there the next time
        write(path, json.dumps(_to_json(found)).encode())
    return found


def probed(target: Target) -> tuple[Target, tuple[str, ...]]:
    """`target` with those of its operators that its provider runs here, and notes on the others.

    Where the provider cannot run here its own table stands, with a note that says so.
    """
    if target.provider is None:
        return target, ()
    found = kernels(target.provider)
    if not found.available:
        return target, (f"kernels of {target.provider} were not probed here: {found.why}",)
    absent = sorted(target.kernels - found.present)
    notes = tuple(f"{name} is not used: {found.absent.get(name, 'it was not tried')}" for name in absent)
    return replace(target, kernels=target.kernels & found.present), notes


def installed_runtimes() -> dict[str, str]:
    """{distribution: version} of everything installed that puts files into the folder of onnxruntime."""
    found: dict[str, str] = {}
    for item in distributions():
        name = (item.metadata["Name"] or "").lower().replace("_", "-")
        if name == RUNTIME or (name.startswith(f"{RUNTIME}-") and name not in _ELSEWHERE):
            found[name] = item.version
    return dict(sorted(found.items()))


def runtime_conflict(found: Mapping[str, str] | None = None) -> str:
    """Why `import onnxruntime` is not to be trusted, and what to do; "" for at most one of `found` (the installed)."""
    names = installed_runtimes() if found is None else found
    if len(names) < 2:
        return ""
    said = " and ".join(f"{name} {version}" for name, version in names.items())
    wanted = next((name for name in names if name != RUNTIME), RUNTIME)
    return (
        f"{said} are installed into one folder, onnxruntime: each file is that of whichever was installed last, and "
        f"removing one breaks the other; run `pip uninstall -y {' '.join(names)}`, then `pip install {wanted}`"
    )


def _probed(provider: str) -> Kernels:
    """Tries the operators in a child, again without what ended it."""
    done: dict[str, str] = {}
    crashed: dict[str, str] = {}
    for _ in range(2 * len(TRIALS) + 1):
        skip = [*done, *crashed]
        run = subprocess.run(
            [sys.executable, "-m", "graphlab.exporting.probing", provider, json.dumps(skip)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
        missing = next((line["missing"] for line in lines if "missing" in line), None)
        if missing is not None:
            return Kernels(provider, available=False, why=missing)
        done |= {line["done"]: line["why"] for line in lines if "done" in line}
        begun = [line["begun"] for line in lines if "begun" in line and line["begun"] not in done]
        if run.returncode == 0:
            break
        if not begun:
            last = " ".join(run.stderr.split())[-200:]
            return Kernels(provider, available=False, why=f"onnxruntime cannot be loaded: {last}")
        crashed[begun[-1]] = f"trying it ended the process ({run.returncode})"
    outcome = {**done, **crashed}
    return Kernels(
        provider,
        frozenset(name for name in TRIALS if outcome.get(f"{name} float32") == ""),
        frozenset(name for name in TRIALS if outcome.get(f"{name} float16") == ""),
        {name: outcome[f"{name} float32"] for name in TRIALS if outcome.get(f"{name} float32", "")},
    )


def _cached_at(provider: str) -> Path | None:
    folder = directory()
    if folder is None:
        return None
    here = Path(__file__).parent
    code = b"".join((here / name).read_bytes() for name in ("probe.py", "probing.py"))
    parts = [json.dumps(installed_runtimes()), provider, hashlib.sha256(code).hexdigest()]
    return folder / f"kernels-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:32]}.json.gz"


def _to_json(found: Kernels) -> dict[str, Any]:
    return {**asdict(found), "present": sorted(found.present), "half": sorted(found.half)}


def _from_json(stored: Mapping[str, Any]) -> Kernels:
    return Kernels(**{**stored, "present": frozenset(stored["present"]), "half": frozenset(stored["half"])})
