"""An `AnalysisReport` from its JSON."""

from __future__ import annotations

from typing import Any

from graphlab.report.data import AnalysisReport
from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.older import analysis_of


def analysis_report(data: dict[str, Any]) -> AnalysisReport:
    """The report that `to_dict` wrote as `data`; ReportFileError where it says something else."""
    data = analysis_of(data)
    stages = data.get("stages")
    if not isinstance(stages, list):
        return decode(AnalysisReport, data)
    return decode(AnalysisReport, {**data, "stages": [_stage(stage, at) for at, stage in enumerate(stages)]})


def _stage(stage: Any, at: int) -> Any:
    """`stage` with the symbol inside of each item of `scaling`, and `edges` for what each call reads."""
    if not isinstance(stage, dict) or not isinstance(stage.get("scaling"), dict):
        return stage
    scaling = [
        {**item, "symbol": symbol} if isinstance(item, dict) else item for symbol, item in stage["scaling"].items()
    ]
    return {**stage, "scaling": scaling, "edges": _edges(stage.get("nodes"), at)}


def _edges(nodes: Any, at: int) -> list[list[Any]]:
    if not isinstance(nodes, list):
        raise ReportFileError(
            f"stages[{at}].nodes is missing", hint="write the report again with this version of graphlab"
        )
    known = [node for node in nodes if isinstance(node, dict) and isinstance(node.get("reads"), list)]
    return [[producer, node.get("name")] for node in known for producer in node["reads"]]
