"""A virtual environment with fixed versions, made once and used again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OPTIMUM_PACKAGES = ("torch==2.13.0", "optimum-onnx==0.1.0", "transformers==4.57.*", "diffusers<0.36", "onnxruntime")


class InteropError(Exception):
    """A package that cannot be installed, or a program that failed there."""


class Environment:
    """The virtual environment at `path` with `packages`; it is made, or finished, when it is first used.

    What is installed is written to a file when all of it is, so an interrupted run goes on and other packages make a
    new environment.
    """

    def __init__(self, path: Path, packages: Sequence[str]) -> None:
        self.path, self.packages = path, list(packages)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    def prepare(self) -> None:
        """Installs what is missing; InteropError with pip's last lines where it cannot."""
        stamp = self.path / "installed.json"
        if stamp.is_file() and json.loads(stamp.read_text()) == self.packages:
            return
        if not self.python.is_file():
            venv.EnvBuilder(with_pip=True).create(self.path)
        done = subprocess.run(
            [self.python, "-m", "pip", "install", "--quiet", *self.packages], capture_output=True, text=True
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
            raise InteropError(f"pip could not install {' '.join(self.packages)}:\n" + "\n".join(said[-5:]))
        stamp.write_text(json.dumps(self.packages))

    def run(self, script: Path, *arguments: str) -> dict[str, Any]:
        """The JSON object `script` prints as its last line; InteropError with its last lines where it fails.

        The script's own folder is not on the path (-P): modules there may be called like packages.
        """
        variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        variables["HF_HUB_OFFLINE"] = "1"
        done = subprocess.run(
            [self.python, "-P", script, *arguments], capture_output=True, text=True, env=variables, cwd=self.path
        )
        if done.returncode:
            raise InteropError(f"{script.name} failed in {self.path}:\n" + "\n".join(done.stderr.splitlines()[-8:]))
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


def optimum_place() -> Path:
    """Where Optimum's environment is kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "graphlab" / f"optimum-onnx-0.1.0-py{sys.version_info[0]}{sys.version_info[1]}"


def optimum_environment(place: Path | None = None) -> Environment:
    """Optimum with the older transformers and diffusers that it needs, at `place`."""
    return Environment((place or optimum_place()).absolute(), OPTIMUM_PACKAGES)
