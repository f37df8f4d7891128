"""A report that `--json` saved, as the page that `--html` makes of the same report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from graphlab.pages.analysis import analysis_document
from graphlab.pages.bench import bench_document
from graphlab.pages.profile import profile_document
from graphlab.pages.rewrite import rewrite_document
from graphlab.report.analysis_reading import analysis_report
from graphlab.report.bench_data import SCHEMA as BENCH
from graphlab.report.bench_data import BenchReport
from graphlab.report.data import SCHEMA as ANALYSIS
from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.html import Document
from graphlab.report.profile_data import SCHEMA as PROFILE
from graphlab.report.profile_data import ProfileReport
from graphlab.report.rewrite_data import SCHEMA as REWRITE
from graphlab.report.rewrite_data import RewriteReport

MOST_BYTES = 1 << 28
"""A report of the largest built-in model is a fiftieth of this."""


def _analysis(data: dict[str, Any]) -> Document:
    return analysis_document(analysis_report(data))


def _rewrite(data: dict[str, Any]) -> Document:
    return rewrite_document(decode(RewriteReport, data, names={"pass_name": "pass"}))


def _bench(data: dict[str, Any]) -> Document:
    return bench_document(decode(BenchReport, data))


def _profile(data: dict[str, Any]) -> Document:
    return profile_document(decode(ProfileReport, data))


KINDS: Mapping[str, Callable[[dict[str, Any]], Document]] = {
    ANALYSIS: _analysis,
    REWRITE: _rewrite,
    BENCH: _bench,
    PROFILE: _profile,
}
"""{schema: what makes a page of a report of it}."""


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
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ReportFileError(f"{path} has {size:,} bytes, expected a report of at most {MOST_BYTES:,}")
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=partial(_no_number, path))
    except OSError as error:
        raise ReportFileError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ReportFileError(f"{path} is no text in UTF-8, expected a report written by --json") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ReportFileError(f"{path} is no JSON: {error.msg} at {where}, expected a report of --json") from error
    except RecursionError as error:
        raise ReportFileError(f"{path} is nested too deeply, expected a report written by --json") from error
    if not isinstance(data, dict):
        raise ReportFileError(f"{path} holds {_named(data)}, expected an object with the key 'schema'")
    return data


def _no_number(path: Path, text: str) -> Any:
    raise ReportFileError(f"{path} holds {text}, which is no number of JSON", hint="graphlab writes null there")


def _named(data: Any) -> str:
    return "a list" if isinstance(data, list) else repr(data)[:40]


def _kind(path: Path, data: dict[str, Any]) -> Callable[[dict[str, Any]], Document]:
    schema = data.get("schema")
    known = ", ".join(sorted(KINDS))
    if not isinstance(schema, str):
        keys = ", ".join(list(map(str, data))[:5]) or "none"
        raise ReportFileError(f"{path} is no report of graphlab: it has no 'schema' (keys: {keys[:120]})",
                              hint=f"known: {known}")  # fmt: skip
    if schema in KINDS:
        return KINDS[schema]
    name = schema.partition("/")[0]
    same = [other for other in KINDS if other.partition("/")[0] == name]
    if same:
        raise ReportFileError(f"{path} is {schema[:60]}, expected {same[0]}",
                              hint="write it again with this version of graphlab")  # fmt: skip
    raise ReportFileError(f"{path} is {schema[:60]!r}, which no page is known for", hint=f"known: {known}")
