"""The JSON value that the file of a report holds."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from graphlab.report.decoding import ReportFileError

MOST_BYTES = 1 << 28
"""A report of the largest built-in model is a fiftieth of this."""


def read_value(path: Path, label: str) -> Any:
    """The value in the file `path`, which messages call `label`.

    ReportFileError for a file that cannot be read, is too large, no UTF-8 or no JSON, and for numbers that are infinite
    or none at all.
    """
    try:
        with path.open("rb") as file:  # a pipe or a device says nothing of its size
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ReportFileError(f"{label} is too large, expected a report of at most {MOST_BYTES:,} bytes")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise ReportFileError(f"cannot read {label}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ReportFileError(f"{label} is no text in UTF-8, expected a report written by --json") from error
    try:
        return json.loads(text, parse_constant=partial(_no_number, label), parse_float=partial(_finite, label))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ReportFileError(
            f"{label} is no JSON: {error.msg} at {where}, expected a report of --json", hint="was it written whole?"
        ) from error
    except RecursionError as error:
        raise ReportFileError(f"{label} is nested too deeply, expected a report written by --json") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise ReportFileError(f"{label} holds an integer of too many digits for a report") from error


def _no_number(label: str, text: str) -> NoReturn:
    raise ReportFileError(f"{label} holds {text}, which is no number of JSON", hint="graphlab writes null there")


def _finite(label: str, text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ReportFileError(f"{label} holds {text[:40]}, which is too large a number")
    return value
