"""A characterization as JSON and as one HTML page."""

from __future__ import annotations

import json

from graphlab.report.characterization_data import CharacterizationReport
from graphlab.report.characterization_tables import models_table, stages_table, times_table
from graphlab.report.html import Document, PlainTable, Section, plains
from graphlab.report.html import to_html as page


def to_json(report: CharacterizationReport) -> str:
    """The report as JSON text; numbers in base units, NaN and infinity refused."""
    return json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n"


def to_html(report: CharacterizationReport) -> str:
    """The report as one self-contained page."""
    return page(document(report))


def document(report: CharacterizationReport) -> Document:
    """The report as a page says it."""
    assumptions = [f"{name}: {line}" for name, lines in report.assumptions.items() for line in lines]
    return Document(
        title=f"Characterization on {report.device_title}",
        subtitle=(", ".join(row.name for row in report.models), f"dtype: {report.dtype or 'that of each model'}"),
        sections=(
            Section("Models", tables=plains((models_table(report), times_table(report), stages_table(report)))),
            Section("Takeaways", tables=(_findings(report),)),
            Section("Figures", figures=report.figures),
        ),
        assumptions=tuple(assumptions),
        notes=report.notes,
    )


def _findings(report: CharacterizationReport) -> PlainTable:
    rows = tuple((item.verdict, item.claim, item.source, "\n".join(item.evidence)) for item in report.findings)
    note = "claims of Generative AI Beyond LLMs and laws of shapes; verdicts about time rest on estimates"
    return PlainTable("Findings", ("verdict", "claim", "from", "evidence"), rows, note)
