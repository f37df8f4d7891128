"""A report that `--json` saved, as the page that `--html` makes of the same report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from graphlab.erase.jobs.record import FORMAT as MANIFEST
from graphlab.erase.jobs.record import SCHEMAS
from graphlab.errors import GraphlabError
from graphlab.hardware import read_device
from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.pages.device import device_document
from graphlab.pages.kinds import KINDS, Saved
from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.html import Document, to_html
from graphlab.report.report_file import read_value

HINTS = {
    **dict.fromkeys(SCHEMAS, "this version writes manifests that have one"),
    "demo": "`graphlab erase demo` makes one with --html, or of what its --json writes",
}
"""{command of `graphlab erase`: what to do about a manifest that no page is made of}."""
MOST_SAID = 400
"""Characters of an error."""


def page_of(data: dict[str, Any]) -> str:
    """The HTML of the report `data`, as `to_dict` makes it."""
    return to_html(KINDS[data["schema"]](Saved(_as_saved(data), Path())))


def run_report(data: dict[str, Any]) -> RunReport:
    """The report of a run that `to_dict` made as `data`, with the types that a file has."""
    return decode(RunReport, _as_saved(data))


def _as_saved(data: dict[str, Any]) -> dict[str, Any]:
    """`data` as a file has it: tuples are lists."""
    found: dict[str, Any] = json.loads(json.dumps(data))
    return found


def saved_document(path: Path) -> Document:
    """The page of the JSON report in the file `path`, before it is HTML; that of a device for a .toml file.

    ReportFileError for a file that cannot be read, is no JSON, no report of graphlab or one of another version, and for
    one whose values do not go together; DeviceFileError for a .toml file that is no device.
    """
    if path.suffix == ".toml":
        return device_document(read_device(path))
    data = _read(path)
    kind = _kind(path, data)
    with _named(path):
        return kind(Saved(data, path.parent))


def saved_page(path: Path) -> str:
    """The page of the report in the file `path`; errors of `saved_document`, and of charts that cannot be drawn."""
    document = saved_document(path)
    with _named(path):
        return to_html(document)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of a report's values are those of the file `path`."""
    try:
        yield
    except GraphlabError as error:
        raise ReportFileError(f"{path}: {shortened(error.message)}", hint=error.hint) from error
    except (ArithmeticError, LookupError, ValueError, AssertionError) as error:
        said = f"{type(error).__name__}: {shortened(str(error))}"
        raise ReportFileError(
            f"{path}: its values do not go together ({said})", hint="was it edited? write the report again"
        ) from error


def shortened(text: str) -> str:
    """`text` with its middle left out where it is long: names in a report may be of any length."""
    return text if len(text) <= MOST_SAID else f"{text[: MOST_SAID // 2]}...{text[-MOST_SAID // 2 :]}"


def _read(path: Path) -> dict[str, Any]:
    data = read_value(path, str(path))
    if not isinstance(data, dict):
        raise ReportFileError(f"{path} holds {_shown(data)}, expected an object with the key 'schema'")
    return data


def _shown(data: Any) -> str:
    return "a list" if isinstance(data, list) else repr(data)[:40]


def _kind(path: Path, data: dict[str, Any]) -> Callable[[Saved], Document]:
    schema = data.get("schema")
    if data.get("format") == MANIFEST and schema is None:
        command = str(data.get("command"))[:20]
        hint = HINTS.get(command, "--json of a command writes what pages are made of")
        raise ReportFileError(f"{path} is the manifest of `graphlab erase {command}`, which has no page", hint=hint)
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
