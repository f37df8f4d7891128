"""graphlab: a compiler for looking at generative models.

`load` a source, `capture` a module, `analyze` either. Importing this package imports neither torch nor a
model library; the first use of a name does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphlab.api import analyze
    from graphlab.benching import bench
    from graphlab.calibrating.device import calibrate
    from graphlab.characterizing import characterize
    from graphlab.comparing import diff
    from graphlab.drawing import draw
    from graphlab.errors import GraphlabError
    from graphlab.exporter import export
    from graphlab.loading import load
    from graphlab.profiling import profile
    from graphlab.program import Program
    from graphlab.report.characterization_data import CharacterizationReport
    from graphlab.report.data import AnalysisReport
    from graphlab.report.diff_data import DiffReport
    from graphlab.report.export_data import ExportReport
    from graphlab.report.profile_data import ProfileReport
    from graphlab.rewriter import rewrite, run_pass
    from graphlab.rewriting.result import RewriteResult
    from graphlab.running import run
    from graphlab.sources.module import capture
    from graphlab.workload import Stage, TensorInput, Variable, Workload

__version__ = "0.1.0"

_HOMES = {
    "analyze": "graphlab.api",
    "calibrate": "graphlab.calibrating.device",
    "capture": "graphlab.sources.module",
    "characterize": "graphlab.characterizing",
    "diff": "graphlab.comparing",
    "draw": "graphlab.drawing",
    "export": "graphlab.exporter",
    "load": "graphlab.loading",
    "profile": "graphlab.profiling",
    "rewrite": "graphlab.rewriter",
    "run": "graphlab.running",
    "bench": "graphlab.benching",
    "run_pass": "graphlab.rewriter",
    "AnalysisReport": "graphlab.report.data",
    "CharacterizationReport": "graphlab.report.characterization_data",
    "DiffReport": "graphlab.report.diff_data",
    "ExportReport": "graphlab.report.export_data",
    "GraphlabError": "graphlab.errors",
    "ProfileReport": "graphlab.report.profile_data",
    "Program": "graphlab.program",
    "RewriteResult": "graphlab.rewriting.result",
    "Stage": "graphlab.workload",
    "TensorInput": "graphlab.workload",
    "Variable": "graphlab.workload",
    "Workload": "graphlab.workload",
}

__all__ = [
    "AnalysisReport",
    "CharacterizationReport",
    "DiffReport",
    "ExportReport",
    "GraphlabError",
    "ProfileReport",
    "Program",
    "RewriteResult",
    "Stage",
    "TensorInput",
    "Variable",
    "Workload",
    "analyze",
    "bench",
    "calibrate",
    "capture",
    "characterize",
    "diff",
    "draw",
    "export",
    "load",
    "profile",
    "rewrite",
    "run",
    "run_pass",
]


def __getattr__(name: str) -> Any:
    """The public name `name`, imported from its home on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'graphlab' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value
