"""A report as JSON text: what `--json` writes and docs/json_schema.md documents."""

from __future__ import annotations

import json
from typing import Any, Protocol


class Report(Protocol):
    """A report of any command."""

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""


def to_json(report: Report) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline.

    The same report gives the same bytes. NaN and infinity are no JSON and raise ValueError.
    """
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"
