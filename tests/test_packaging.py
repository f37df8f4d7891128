"""The packages list is written out in pyproject.toml; what is on disk is what is installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_on_disk() -> set[str]:
    found = set()
    for top, prefix in (("graphlab", "graphlab"), ("passes", "graphlab.passes"), ("cli", "graphlab.cli")):
        for init in (ROOT / top).rglob("__init__.py"):
            tail = init.parent.relative_to(ROOT / top).parts
            found.add(".".join((prefix, *tail)))
    return found


def test_packages_match_the_disk() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_on_disk()


def test_top_level_is_exactly_what_it_should_be() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in tracked.splitlines()}
    assert top == {
        ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "benchmarks", "cli", "docs",
        "examples", "graphlab", "mkdocs.yml", "passes", "pyproject.toml", "tests",
    }  # fmt: skip


def test_the_wheel_holds_every_package_and_data_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in packages_on_disk():
        assert f"{package.replace('.', '/')}/__init__.py" in names
    assert {name.split("/")[0] for name in names} == {"graphlab", wheel.name.rsplit("-py3", 1)[0] + ".dist-info"}
    pages = ("graphlab/report/html/app.js", "graphlab/report/html/style.css", "graphlab/prediction/constants.toml")
    for data in ("graphlab/py.typed", "graphlab/devices/a100-80gb.toml", *pages):
        assert data in names
    assert any(name.startswith("graphlab/sources/configs/") for name in names)


def test_the_mapped_folders_refuse_their_bare_names() -> None:
    for name in ("passes", "cli"):
        run = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode != 0
        assert f"import graphlab.{name}" in run.stderr


def test_importing_graphlab_imports_no_model_library() -> None:
    code = (
        "import sys, graphlab, graphlab.models, graphlab.components, graphlab.ops;"
        "bad = {'torch', 'diffusers', 'transformers', 'onnxruntime', 'onnx'} & set(sys.modules); print(bad)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_loading_and_analysing_needs_no_model_library_until_a_model_is_built() -> None:
    code = (
        "import sys, graphlab; graphlab.analyze; graphlab.load;"
        "bad = {'diffusers', 'transformers', 'onnxruntime'} & set(sys.modules); print(bad)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
