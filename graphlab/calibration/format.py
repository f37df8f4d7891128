"""The table `[calibration]` of a device file, read strictly and written readably."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from graphlab.calibration.data import CALLS, TABLES, Calibration, Table
from graphlab.calibration.grid import gaps
from graphlab.errors import DeviceFileError
from graphlab.names import nearest

DTYPES = ("float32", "float16", "bfloat16")
"""What a calibration can be of: dtypes that a model can be recast to."""

MOST = 2**63 - 1
"""The largest number of a calibration; sizes are those of tensors."""

_KEYS = tuple(field.name for field in fields(Calibration))


def calibration_from(table: Any, path: str) -> Calibration:
    """The Calibration in `table`, the value of `[calibration]` in the file `path`.

    DeviceFileError names the key that is missing, unknown, of another type, negative, zero or not finite.
    """
    _check_keys(table, "calibration", _KEYS, _KEYS, path)
    calls = table["calls"]
    _check_keys(calls, "calibration.calls", CALLS, CALLS, path)
    tables = table["tables"]
    _check_keys(tables, "calibration.tables", tuple(TABLES), tuple(TABLES), path)
    texts = {key: _text(table[key], f"calibration.{key}", path) for key in ("machine", "torch", "date", "dtype")}
    return Calibration(
        machine=texts["machine"],
        threads=_count(table["threads"], "calibration.threads", path),
        torch=texts["torch"],
        date=texts["date"],
        rounds=_count(table["rounds"], "calibration.rounds", path),
        dtype=_dtype(texts["dtype"], path),
        fault_from_bytes=_count(table["fault_from_bytes"], "calibration.fault_from_bytes", path),
        calls={name: _seconds(calls[name], f"calibration.calls.{name}", path) for name in CALLS},
        fault_seconds_per_byte=_seconds(table["fault_seconds_per_byte"], "calibration.fault_seconds_per_byte", path),
        vector=_count(table["vector"], "calibration.vector", path),
        tail_seconds=_seconds(table["tail_seconds"], "calibration.tail_seconds", path),
        tables={name: _table(name, tables[name], path) for name in TABLES},
    )


def _table(name: str, rows: Any, path: str) -> Table:
    key, axes = f"calibration.tables.{name}", TABLES[name]
    if not isinstance(rows, list) or not rows:
        raise DeviceFileError(f"{path}: {key} has no points", hint=f"a list of [{', '.join(axes)}, seconds]")
    points: dict[tuple[int, ...], float] = {}
    for number, row in enumerate(rows):
        place = f"{key}[{number}]"
        if not isinstance(row, list) or len(row) != len(axes) + 1:
            raise DeviceFileError(f"{path}: {place} is {row!r}", hint=f"expected [{', '.join(axes)}, seconds]")
        sizes = tuple(_count(size, place, path) for size in row[:-1])
        if sizes in points:
            raise DeviceFileError(f"{path}: {place} repeats the sizes {list(sizes)}")
        points[sizes] = _seconds(row[-1], place, path)
    missing = gaps(points)
    if missing:
        shown = ", ".join(f"{axis} {size}" for axis, size in zip(axes, missing[0], strict=True))
        raise DeviceFileError(f"{path}: {key} has no point at {shown}", hint="run graphlab calibrate again")
    return Table(name, axes, points)


def _check_keys(table: Any, name: str, required: Sequence[str], known: Sequence[str], path: str) -> None:
    if not isinstance(table, dict):
        raise DeviceFileError(f"{path}: {name} is not a table")
    for key in required:
        if key not in table:
            raise DeviceFileError(f"{path}: {name}.{key} is missing", hint="run graphlab calibrate again")
    for key in table:
        if key not in known:
            raise DeviceFileError(
                f"{path}: unknown key '{name}.{key}'", hint=f"{nearest(key, known)}known: {', '.join(known)}"
            )


def _text(value: Any, key: str, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise DeviceFileError(f"{path}: {key} is {value!r}, expected text")
    return value


def _dtype(value: str, path: str) -> str:
    if value not in DTYPES:
        raise DeviceFileError(
            f"{path}: calibration.dtype is {value!r}", hint=f"{nearest(value, DTYPES)}expected {', '.join(DTYPES)}"
        )
    return value


def _count(value: Any, key: str, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise DeviceFileError(f"{path}: {key} is {value!r}, expected a whole number of at least 1")
    return value


def _seconds(value: Any, key: str, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise DeviceFileError(f"{path}: {key} is {value!r}, expected a finite number above 0")
    if value > MOST:  # an integer may be longer than any float
        raise DeviceFileError(f"{path}: {key} is more than {MOST} seconds")
    return float(value)


def calibration_text(calibration: Calibration) -> str:
    """`calibration` as the TOML that `calibration_from` reads back; seconds keep all their digits."""
    return "".join(f"{line}\n" for line in _lines(calibration))


def _lines(calibration: Calibration) -> Iterator[str]:
    yield "[calibration]"
    for key in _KEYS:
        value = getattr(calibration, key)
        if not isinstance(value, Mapping):
            yield f"{key} = {_written(value)}"
    yield from ("", "# Seconds of one call on a tensor of a few elements.", "[calibration.calls]")
    yield from (f"{name} = {calibration.calls[name]!r}" for name in CALLS)
    yield from ("", "# Seconds of one call by its sizes.", "[calibration.tables]")
    for name, table in calibration.tables.items():
        yield f"# {', '.join(table.axes)}, seconds"
        yield f"{name} = ["
        yield from (f"  [{', '.join(map(str, sizes))}, {seconds!r}]," for sizes, seconds in table.points.items())
        yield "]"


def _written(value: object) -> str:
    """`value` in TOML: JSON's spelling, but for the one control character that JSON leaves bare."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
