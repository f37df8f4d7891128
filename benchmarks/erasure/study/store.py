"""Rows of runs: a file a run, whole or not there, and all of a part as one CSV."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.erasure.study.runs import Part, Run, runs
from graphlab.erase.errors import EraseError

Row = dict[str, str]
NAMED = ("stage", "base", "concepts", "method", "seed")
"""Columns that name a run of a part; those of tuning are named by their rate, too."""


def write_rows(folder: Path, run: Run, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows of a run, which is then done."""
    _write(_path(folder, run), rows)


def is_done(folder: Path, run: Run) -> bool:
    """Whether a run's rows are there."""
    return _path(folder, run).exists()


def rows_of(folder: Path, run: Run) -> list[Row]:
    """The rows of a run; EraseError where it is not done."""
    path = _path(folder, run)
    if not path.exists():
        raise EraseError(f"{run.key} is not done")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def gather(folder: Path, part: Part) -> Path:
    """All rows of a part in the order of its runs, as `<part>.csv`: each run once, however often one was cut off."""
    rows = [row for run in runs(part) if is_done(folder, run) for row in rows_of(folder, run)]
    path = folder / f"{part}.csv"
    _write(path, rows)
    return path


def spread(folder: Path, part: Part) -> int:
    """The opposite of `gather`, where there is a gathered file: runs it holds that were not there as files of their
    own, and now are."""
    path = folder / f"{part}.csv"
    if not path.exists():
        return 0
    by_run: dict[tuple[str, ...], list[Row]] = {}
    for row in read(path):
        by_run.setdefault(row_names(row), []).append(row)
    new = [run for run in runs(part) if not is_done(folder, run) and named_by(run) in by_run]
    for run in new:
        write_rows(folder, run, by_run[named_by(run)])
    return len(new)


def read(path: Path) -> list[Row]:
    """The rows of a gathered file; EraseError where there is none."""
    if not path.exists():
        raise EraseError(f"{path} is not there", hint="run the part first")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def row_names(row: Mapping[str, str]) -> tuple[str, ...]:
    """What names the run of a row within its part: equal to `named_by` of that run."""
    return (*(row[name] for name in NAMED), row["rate"] if row["stage"] == "tune" else "")


def named_by(run: Run) -> tuple[str, ...]:
    """What names a run within its part."""
    return (
        run.stage,
        run.base,
        "+".join(run.concepts),
        run.method,
        str(run.seed),
        "" if run.rate is None else f"{run.rate:g}",
    )


def _path(folder: Path, run: Run) -> Path:
    return folder / "rows" / f"{run.key}.csv"


def _write(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    text, listed = io.StringIO(), list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text.getvalue())
    beside.replace(path)
