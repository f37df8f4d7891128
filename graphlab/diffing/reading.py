"""Tells a saved report from a source, and reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from graphlab.diffing.entries import Entry
from graphlab.diffing.errors import DiffError
from graphlab.report import bench_data, characterization_data, diff_data, export_data, profile_data, rewrite_data
from graphlab.report.data import SCHEMA as ANALYSIS
from graphlab.report.decoding import ReportFileError
from graphlab.report.older import analysis_of, rewrite_of
from graphlab.report.report_file import read_value

SCHEMAS = {
    ANALYSIS: "analyze",
    rewrite_data.SCHEMA: "rewrite",
    profile_data.SCHEMA: "profile",
    characterization_data.SCHEMA: "characterize",
    bench_data.SCHEMA: "bench",
}
"""{schema that is read: the command that writes it}."""
_MENDED = {"analyze": analysis_of, "rewrite": rewrite_of}
"""{command: what older versions wrote otherwise, as it is written now}."""
OTHERS = {export_data.SCHEMA: "export", diff_data.SCHEMA: "diff"}
"""Schemas of commands whose reports are not compared."""

_HEAD = 4096


@dataclass(frozen=True, slots=True)
class Saved:
    """A report: how it was named, the command it is of, and its JSON; `fresh` where a source was worked out for it."""

    label: str
    kind: str
    data: Entry
    fresh: bool = False

    @property
    def workload(self) -> str:
        """The name of the workload it is about; that of its models for a characterization."""
        if self.kind != "characterize":
            return self.data["workload"].text()
        return ", ".join(model["name"].text() for model in self.data["models"].each())


def read_report(path: Path, label: str) -> Saved | None:
    """The report in the file `path`; None for a file that is no JSON object with one of graphlab's schemas.

    ReportFileError where it has one and is broken, or is of another version than is read here.
    """
    found = _object(path, label)
    if found is None or not str(found.get("schema", "")).startswith("graphlab."):
        return None
    return saved(found, label)


def saved(found: dict[str, Any], label: str) -> Saved:
    """The report with the JSON `found`; ReportFileError for a version, DiffError for a command that is not read."""
    schema = Entry(found, label)["schema"].text()
    kind = SCHEMAS.get(schema)
    if kind is None:
        _refuse(schema, label)
    return Saved(label, kind, Entry(_MENDED[kind](found) if kind in _MENDED else found, label))


def _refuse(schema: str, label: str) -> NoReturn:
    if schema in OTHERS:
        raise DiffError(
            f"{label} is a report of `graphlab {OTHERS[schema]}`, which diff does not compare",
            hint=f"it compares those of {', '.join(SCHEMAS.values())}",
        )
    name = schema.rpartition("/")[0]
    known = next((item for item in SCHEMAS if item.rpartition("/")[0] == name), None)
    if known is not None:
        raise ReportFileError(
            f"{label} is of schema {schema}, and this graphlab reads {known}",
            hint=f"write both with one version of graphlab: `graphlab {SCHEMAS[known]} ... --json FILE`",
        )
    raise ReportFileError(
        f"{label} is of schema {schema}, which this graphlab does not know", hint=f"it reads {', '.join(SCHEMAS)}"
    )


def _object(path: Path, label: str) -> dict[str, Any] | None:
    """The JSON object in `path`; None for what does not begin like one of graphlab's reports."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not re.match(rb"(\xef\xbb\xbf)?\s*\{", head) or b'"schema"' not in head:
            return None
    except OSError as error:
        raise ReportFileError(f"cannot read {label}: {error.strerror or error}") from error
    found = read_value(path, label)
    return found if isinstance(found, dict) else None
