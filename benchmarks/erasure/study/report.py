"""The tables of the study, as Markdown, from its CSV files alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.erasure.study import tables
from benchmarks.erasure.study.claims import claims
from benchmarks.erasure.study.runs import PARTS, Part, runs
from benchmarks.erasure.study.store import named_by, read, row_names
from graphlab.erase.errors import EraseError

Row = Mapping[str, str]


def report(folder: Path, *, whole: bool = False) -> str:
    """The tables of the parts that are there, each under how many of its runs that is; with `whole`, of those parts
    alone whose runs are all there.

    EraseError for a folder without rows, and one with rows of two files that have the name of one base.
    """
    known = {part: read(folder / f"{part}.csv") for part in PARTS if (folder / f"{part}.csv").exists()}
    if not any(known.values()):
        raise EraseError(f"{folder} holds no rows", hint="run a part first")
    _check_bases(row for rows in known.values() for row in rows)
    blocks, compared = [], {}
    for part in PARTS:
        rows = known.get(part, [])
        there, all_runs = _done(part, rows), len(runs(part))
        blocks += [f"### {part}", f"{there} of {all_runs} runs are done."]
        if not rows or (whole and there < all_runs):
            continue
        if part != "attacks":
            compared[part] = rows
        blocks += _tables(part, rows)
    if compared:
        blocks += ["### Claims", tables.of_claims(claims(compared))]
    return "\n\n".join(blocks) + "\n"


def _tables(part: Part, rows: Sequence[Row]) -> list[str]:
    if part == "attacks":
        return [tables.attacks(rows)]
    made = [tables.tuning(rows), tables.rates(rows), tables.at_endpoint(rows), tables.at_end(rows), tables.moved(rows)]
    if any(row["stage"] == "several" for row in rows):
        made.append(tables.several(rows))
    return [table for table in made if table]


def _done(part: Part, rows: Iterable[Row]) -> int:
    """How many runs of a part have rows."""
    there = {row_names(row) for row in rows}
    return sum(named_by(run) in there for run in runs(part))


def _check_bases(rows: Iterable[Row]) -> None:
    found: dict[str, str] = {}
    for row in rows:
        if found.setdefault(row["base"], row["base_sha256"]) != row["base_sha256"]:
            raise EraseError(f"the rows are of two models called {row['base']}", hint="begin in an empty folder")
