"""Imports point one way: each line of LAYERS imports only from itself and from the lines below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = """
benching exporter rewrite_files running catalogue scaffold testing drawing pages comparing
diffing
onnx_pipeline timing erase
lowering
exporting
api profiling characterizing calibrating rewriter tracing
weights
hoisting reuse
verification
rewriting
measuring
figures viewers
characterization
generation
stage_analysis
loading masks
models
sources
onnx_graph
prediction
kernels
pipeline
guarded
plugins
roofline scaling module_rows
report input_axes components architectures passes_base
costing polynomial
flow facts fused
workload_fault
ops hardware workload
calibration
program
graph
symbolic
discovery
units errors names
"""
RANK = {name: rank for rank, line in enumerate(reversed(LAYERS.strip().splitlines())) for name in line.split()}
FILES = sorted(path for folder in ("graphlab", "passes", "cli") for path in (ROOT / folder).rglob("*.py"))


def runtime_imports(path: Path) -> set[str]:
    """Modules a file imports when it runs: `if TYPE_CHECKING:` blocks are not followed."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def layer(path: Path) -> str:
    part = path.relative_to(ROOT / "graphlab").parts[0]
    return part.removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    for name in runtime_imports(path):
        parts = name.split(".")
        if parts[0] in ("passes", "cli"):
            pytest.fail(f"{path} imports {name}: the folder is installed as graphlab.{parts[0]}")
        if parts[0] != "graphlab" or len(parts) < 2:
            continue
        if folder == "graphlab":
            assert parts[1] not in ("passes", "cli"), f"{path} imports {name}: passes are found as plug-ins"
            home = layer(path)
            if home != "__init__" and parts[1] in RANK:
                assert RANK[parts[1]] <= RANK[home], f"{path} imports {name}, which is above it"
        else:
            other = {"passes": "cli", "cli": "passes"}[folder]
            assert parts[1] != other, f"{path} imports {name}"


def test_every_module_has_a_layer() -> None:
    homes = {layer(path) for path in FILES if path.relative_to(ROOT).parts[0] == "graphlab"}
    data = {"devices"}
    assert homes - data - {"__init__"} == set(RANK)


def test_rich_and_typer_stay_in_cli() -> None:
    for path in FILES:
        roots = {name.split(".")[0] for name in runtime_imports(path)}
        if path.relative_to(ROOT).parts[0] != "cli":
            assert not roots & {"rich", "typer", "click"}, path


def test_the_document_shows_these_layers() -> None:
    assert f"```\n{LAYERS.strip()}\n```" in (ROOT / "docs" / "architecture.md").read_text()
