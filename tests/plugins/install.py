"""Installs distributions for real, into a folder, and runs `graphlab` commands beside them in a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MY_PLUGIN = Path(__file__).parent / "my_plugin"


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def install(source: Path, target: Path, scratch: Path) -> None:
    """`pip install` of a copy of `source` (a build leaves files beside it) into the folder `target`, offline."""
    copy = scratch / source.name
    shutil.copytree(source, copy)
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--disable-pip-version-check", "--target", str(target), str(copy),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def distribution(target: Path, name: str, files: Mapping[str, str], entry_points: str, version: str = "1.0") -> None:
    """A distribution in the folder `target`, as an installer leaves it: modules beside their metadata."""
    info = target / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)


COMMANDS = """
import contextlib, io, json, sys
from graphlab.cli.main import main
ran = []
for args in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(args)
    ran.append((code, out.getvalue(), err.getvalue()))
json.dump(ran, sys.__stdout__)
"""


def graphlab(*commands: Sequence[str], site: Path) -> list[Ran]:
    """How each of `commands` ends, one after another in one process with the distributions in `site` on the path."""
    path = os.pathsep.join([str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS], input=json.dumps(commands), capture_output=True, text=True, timeout=300,
        env=environment, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [Ran(*item) for item in json.loads(done.stdout)]
