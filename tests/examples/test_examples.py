"""The scripts of examples/ as a user runs them, and what they print where it can be worked out by hand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


def run(*command: str, **environment: str) -> str:
    """Standard output of python with `command`, in the repository's root."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def plug_in(folder: Path, script: str) -> dict[str, str]:
    """An environment with the passes of a script installed: a distribution is a module beside its metadata."""
    info = folder / "own_pass-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-pass\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graphlab.passes]\nown = {script}\n")
    (folder / f"{script}.py").write_text((EXAMPLES / f"{script}.py").read_text())
    return {"PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


# One line or number each that shows that the script said what it is for.
EXPECTED = {
    # qkv, output projection and convolution: 2 * (32 * 96 + 32 * 32 + 9 * 32 * 32); attention: 2 products of 2 * 32.
    "analyze_own_module.py": "128*sample.b*sample.h**2*sample.w**2 + 26624*sample.b*sample.h*sample.w",
    # 2 of the first weight's 32 entries, and what the mask does not name stays.
    "apply_mask.py": "0.weight (8, 4): 2 of 32 entries (6.25 %), largest change 1",
    "compare_resolutions.py": "h = 33: Denoiser",
    "critical_path.py": "every path from sample to ",
    "custom_analysis.py": "float32",
    # Twice the bandwidth halves what has to be waited for, until arithmetic takes longer.
    "custom_device.py": "  vae_decoder  0.000235 s a call at 21.1 FLOP a byte: compute",
    "custom_rewrite.py": "fold-scale left mul_2: a scale of 0.3 is no power of two: it would round every weight",
    # 9 of 25 steps compute everything.
    "feature_reuse.py": "unet refresh   9 steps, ",
    # 16 steps of 33024 + 256 * cache, the cache 32 at first and one longer each step.
    "own_workload.py": f"decode 16 steps, {sum(33024 + 256 * (32 + step) for step in range(16))} FLOP",
    # Three changes are compared at two sizes of the batch, of tokens and of words.
    "rewrite_program.py": "equal at 2 sizes, largest error in float64 below 1e-10: True",
    "two_devices.py": "rtx-4090: ",
}


def test_every_script_is_expected() -> None:
    assert list(EXPECTED) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs(name: str) -> None:
    assert EXPECTED[name] in run(f"examples/{name}")


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 100


def test_workload_and_device_from_the_command_line() -> None:
    out = run(
        "-m", "graphlab.cli.main", "analyze", "examples/own_workload.py:workload",
        "--set", "tokens=100", "--device", "examples/my_gpu.toml",
    )  # fmt: skip
    assert "256*batch*cache + 33024*batch" in out
    assert "fits my_gpu" in out


def test_an_installed_analysis_is_found_by_name(tmp_path: Path) -> None:
    installed = plug_in(tmp_path, "custom_analysis")
    out = run("-m", "graphlab.cli.main", "passes", **installed)
    line = next(line for line in out.splitlines() if line.startswith("dtype-traffic"))
    assert line.split()[-1] == "own-pass"
    code = (
        "import torch, graphlab; from graphlab.pipeline import Facts; "
        "program = graphlab.capture(torch.nn.Linear(4, 8), (torch.ones(2, 4),)); "
        "print(Facts(program.graph, program.graph.symbols).result('dtype-traffic'))"
    )
    assert run("-c", code, **installed) == "{'float32': 64}\n"


def test_feature_reuse_is_approximate_wherever_it_shows(tmp_path: Path) -> None:
    """In the list of passes, in the report of a rewrite and in its JSON; --verify measures and passes nothing."""
    installed = plug_in(tmp_path, "feature_reuse")
    listed = run("-m", "graphlab.cli.main", "passes", **installed)
    assert re.search(r"^reuse-deep-features +stage rewrite, approximate ", listed, flags=re.MULTILINE)
    out = run(
        "-m", "graphlab.cli.main", "rewrite", "digits", "--stage", "unet", "--static", "--verify",
        "--pass", "reuse-deep-features,every=3", "--json", str(tmp_path / "report.json"), **installed,
    )  # fmt: skip
    assert "approximate  reuse-deep-features,every=3: results may differ from the exact model's" in out
    assert "unet: approximate, features reused" in out
    assert "features 2 steps old: results differ by " in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["approximate"] == ["reuse-deep-features,every=3"]
    reuse = report["stages"][0]["reuse"]
    assert (reuse["every"], reuse["steps"], reuse["refreshes"]) == (3, 25, 9)
    assert reuse["flops_after"] < reuse["flops_before"]
    assert all(0 < value < 0.1 for value in reuse["drift"]["differences"])
