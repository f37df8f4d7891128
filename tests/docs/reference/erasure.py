"""docs/erasure.md: its results are those of the rows that come along."""

from __future__ import annotations

from pathlib import Path

from benchmarks.erasure.study import report
from tests.docs.reference import DOCS

NAME = "erasure.md"
BEGIN, END = "<!-- results: written by python -m tests.docs.reference -->", "<!-- end of results -->"


def page() -> str:
    """The page with the tables of every part of the study that is done."""
    text = (DOCS / NAME).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    made = report.report(Path(report.__file__).parent / "results", whole=True)
    return f"{before}{BEGIN}\n\n{made}\n{END}{after}"
