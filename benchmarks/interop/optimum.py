"""Optimum's ONNX Runtime pipelines on folders graphlab exports: do they load, and is the image diffusers' own?

    python -m benchmarks.interop.optimum [--venv PATH] [--folder PATH] [PIPELINE ...]

Pipelines: stable-diffusion, stable-diffusion-xl, stable-diffusion-3, flux; all without a name. Each is tiny, with
random weights. optimum-onnx 0.1.0 needs older transformers and diffusers than graphlab: they go into a virtual
environment of their own, made once (--venv says where). --folder keeps the folders; they are exported anew without.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interop.environment import Environment, InteropError, optimum_environment, optimum_place
from graphlab.errors import GraphlabError
from graphlab.exporter import export
from graphlab.running import run
from tests.onnx_pipeline import pipelines

PROMPT, STEPS = "a small red house", 3
MOST_DIFFERENCE = 1 / 255
"""One step of an 8-bit image."""

PIPELINES: Mapping[str, tuple[Callable[[Path], Any], int]] = {
    "stable-diffusion": (pipelines.stable_diffusion, 16),
    "stable-diffusion-xl": (pipelines.stable_diffusion_xl, 16),
    "stable-diffusion-3": (pipelines.stable_diffusion_3, 16),
    "flux": (pipelines.flux, 32),
}
"""{name: (what makes and saves it in a folder, pixels a side)}."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Optimum said of one pipeline, and how far its image is from the one `graphlab run` makes."""

    name: str
    found: Mapping[str, Any]
    from_run: float

    @property
    def ok(self) -> bool:
        """Whether both differences are below one step of an 8-bit image."""
        return max(float(self.found["difference"]), self.from_run) <= MOST_DIFFERENCE

    def line(self) -> str:
        """A row of the table."""
        return (
            f"| {self.name} | {self.found['loaded_by']} | {'x'.join(map(str, self.found['shape']))} "
            f"| {self.found['spread']:.3f} | {self.found['difference']:.1e} | {self.from_run:.1e} "
            f"| {'equal' if self.ok else 'DIFFERENT'} |"
        )


def compare(name: str, home: Path, environment: Environment) -> Outcome:
    """Exports the pipeline `name` into `home`, unless it is there, and runs it in Optimum and with `graphlab.run`."""
    make, side = PIPELINES[name]
    source, exported, image = home / "source", home / "onnx", home / "optimum.npy"
    if not (exported / "model_index.json").is_file():
        make(home)
        export(str(source), f"{exported}/", target="ort-cpu", check=False)  # the images are the check
    script = Path(__file__).with_name("inside_optimum.py")
    found = environment.run(script, str(source), str(exported), PROMPT, str(STEPS), str(side), str(image))
    ours = run(exported, PROMPT, steps=STEPS, height=side, width=side, seed=0)
    return Outcome(name, found, float(np.abs(np.load(image) - ours.values.numpy()).max()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a row a pipeline and the versions; 1 where an image differs or a program fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", choices=[[], *PIPELINES])
    parser.add_argument("--venv", type=Path, default=optimum_place())
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args(arguments)
    environment = optimum_environment(given.venv)
    try:
        environment.prepare()
        with tempfile.TemporaryDirectory(prefix="graphlab-interop-") as temporary:
            home = (given.folder or Path(temporary)).resolve()
            return _report(given.pipelines or list(PIPELINES), home, environment)
    except InteropError as error:
        print(error, file=sys.stderr)
        return 1


def _report(names: Sequence[str], home: Path, environment: Environment) -> int:
    outcomes, failures = [], []
    for name in names:
        try:
            outcomes.append(compare(name, home / name, environment))
        except (InteropError, GraphlabError) as error:
            failures.append(f"{name}: {error}")
    print("| pipeline | loaded by | image | standard deviation | from PyTorch | from graphlab run | |")
    print("|---|---|---|---|---|---|---|")
    for item in outcomes:
        print(item.line())
    versions = outcomes[0].found["versions"] if outcomes else {}
    print("\n" + ", ".join(f"{name} {value}" for name, value in versions.items()))
    print("\n".join(failures), file=sys.stderr)
    return 0 if not failures and all(item.ok for item in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
