"""A report that `--json` saved, as the page that `--html` makes of the same report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphlab.masks.placement import SCHEMA as MASK
from graphlab.masks.placement_reading import placement_of
from graphlab.onnx_pipeline.run_report import SCHEMA as RUN
from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.pages.analysis import analysis_document
from graphlab.pages.bench import bench_document
from graphlab.pages.diff import diff_document
from graphlab.pages.others import export_document, mask_document, run_document
from graphlab.pages.profile import profile_document
from graphlab.pages.rewrite import rewrite_document
from graphlab.report.analysis_reading import analysis_report
from graphlab.report.bench_data import SCHEMA as BENCH
from graphlab.report.bench_data import BenchReport
from graphlab.report.characterization_data import SCHEMA as CHARACTERIZATION
from graphlab.report.characterization_data import CharacterizationReport
from graphlab.report.characterization_writers import document as characterization_document
from graphlab.report.data import SCHEMA as ANALYSIS
from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.diff_data import SCHEMA as DIFF
from graphlab.report.diff_data import DiffReport
from graphlab.report.export_data import SCHEMA as EXPORT
from graphlab.report.export_data import ExportReport
from graphlab.report.html import Document, to_html
from graphlab.report.older import rewrite_of
from graphlab.report.profile_data import SCHEMA as PROFILE
from graphlab.report.profile_data import ProfileReport
from graphlab.report.report_file import read_value
from graphlab.report.rewrite_data import SCHEMA as REWRITE
from graphlab.report.rewrite_data import RewriteReport


def _analysis(data: dict[str, Any]) -> Document:
    return analysis_document(analysis_report(data))


def _rewrite(data: dict[str, Any]) -> Document:
    return rewrite_document(decode(RewriteReport, rewrite_of(data), names={"pass_name": "pass"}))


def _bench(data: dict[str, Any]) -> Document:
    return bench_document(decode(BenchReport, data))


def _profile(data: dict[str, Any]) -> Document:
    return profile_document(decode(ProfileReport, data))


def _export(data: dict[str, Any]) -> Document:
    return export_document(decode(ExportReport, _with_infinite(data), names={"pass_name": "pass"}))


def _with_infinite(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with infinite errors in place of null, which JSON has for what is not finite."""
    models = data.get("models")
    if not isinstance(models, list):
        return data
    return {**data, "models": [_model(model) for model in models]}


def _model(model: Any) -> Any:
    check = model.get("check") if isinstance(model, dict) else None
    if not isinstance(check, dict) or not isinstance(check.get("bindings"), list):
        return model
    runs = [
        {key: math.inf if value is None else value for key, value in run.items()} if isinstance(run, dict) else run
        for run in check["bindings"]
    ]
    return {**model, "check": {**check, "bindings": runs}}


def _mask(data: dict[str, Any]) -> Document:
    return mask_document(placement_of(data))


def _run(data: dict[str, Any]) -> Document:
    return run_document(run_report(data))


def run_report(data: dict[str, Any]) -> RunReport:
    """The report of a run that `to_dict` made as `data`, with the types that a file has."""
    return decode(RunReport, _as_saved(data))


def _diff(data: dict[str, Any]) -> Document:
    return diff_document(decode(DiffReport, data))


def _characterization(data: dict[str, Any]) -> Document:
    return characterization_document(decode(CharacterizationReport, data))


KINDS: Mapping[str, Callable[[dict[str, Any]], Document]] = {
    ANALYSIS: _analysis,
    REWRITE: _rewrite,
    BENCH: _bench,
    PROFILE: _profile,
    EXPORT: _export,
    MASK: _mask,
    RUN: _run,
    CHARACTERIZATION: _characterization,
    DIFF: _diff,
}
"""{schema: what makes a page of a report of it}."""


def page_of(data: dict[str, Any]) -> str:
    """The HTML of the report `data`, as `to_dict` makes it."""
    return to_html(KINDS[data["schema"]](_as_saved(data)))


def _as_saved(data: dict[str, Any]) -> dict[str, Any]:
    """`data` as a file has it: tuples are lists."""
    found: dict[str, Any] = json.loads(json.dumps(data))
    return found


def saved_document(path: Path) -> Document:
    """The page of the JSON report in the file `path`.

    ReportFileError for a file that cannot be read, is no JSON, no report of graphlab or one of another version, and for
    one whose values do not go together.
    """
    data = _read(path)
    kind = _kind(path, data)
    try:
        return kind(data)
    except ReportFileError as error:
        raise ReportFileError(f"{path}: {error.message}", hint=error.hint) from error
    except (ArithmeticError, LookupError, ValueError, AssertionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ReportFileError(
            f"{path}: its values do not go together ({said})", hint="was it edited? write the report again"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    data = read_value(path, str(path))
    if not isinstance(data, dict):
        raise ReportFileError(f"{path} holds {_named(data)}, expected an object with the key 'schema'")
    return data


def _named(data: Any) -> str:
    return "a list" if isinstance(data, list) else repr(data)[:40]


def _kind(path: Path, data: dict[str, Any]) -> Callable[[dict[str, Any]], Document]:
    schema = data.get("schema")
    known = ", ".join(sorted(KINDS))
    if not isinstance(schema, str):
        keys = ", ".join(list(map(str, data))[:5]) or "none"
        what = "its 'schema' is no text" if "schema" in data else "it has no 'schema'"
        raise ReportFileError(f"{path} is no report of graphlab: {what} (keys: {keys[:120]})",
                              hint=f"known: {known}")  # fmt: skip
    if schema in KINDS:
        return KINDS[schema]
    name = schema.partition("/")[0]
    same = [other for other in KINDS if other.partition("/")[0] == name]
    if same:
        raise ReportFileError(f"{path} is {schema[:60]}, expected {same[0]}",
                              hint="write it again with this version of graphlab")  # fmt: skip
    raise ReportFileError(f"{path} is {schema[:60]!r}, which no page is known for", hint=f"known: {known}")
