"""The report as JSON text: what `--json` writes and docs/json_schema.md documents."""

from __future__ import annotations

import json

from graphlab.report.data import AnalysisReport


def to_json(report: AnalysisReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline.

    The same report gives the same bytes. NaN and infinity are no JSON and raise ValueError.
    """
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"
