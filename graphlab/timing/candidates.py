"""Candidates by text: `eager,rewrite=-O2` is a backend and the level its program is rewritten at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphlab.discovery.chosen import class_from
from graphlab.discovery.spec import parse_spec
from graphlab.lowering.base import Backend
from graphlab.lowering.contract import check_backend
from graphlab.lowering.registry import backends, registry
from graphlab.rewriting.options import build, spelled, split_spec
from graphlab.timing.errors import BenchError

LEVELS = (0, 1, 2)
_LEVEL = re.compile(r"(?:-?O)?([0-9])")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is timed: a backend, and the -O level of the program it is given. `label` is unique in a benchmark."""

    label: str
    backend: Backend
    rewrite: int = 0


def level(text: str | int) -> int:
    """The level of "-O2", "O2" or "2"; BenchError for a level a program cannot be rewritten at."""
    match = _LEVEL.fullmatch(str(text).strip())
    if match is None or int(match[1]) not in LEVELS:
        hint = "-O3 splits the stage: `graphlab rewrite -O3`" if match is not None else None
        raise BenchError(
            f"{text} is no level to rewrite a candidate at", hint=hint or "levels: -O0 (as it is), -O1, -O2"
        )
    return int(match[1])


def candidates(specs: Sequence[str], *, rewrite: int = 0, threads: int | None = None) -> tuple[Candidate, ...]:
    """The candidates of `specs`, "BACKEND[,rewrite=LEVEL][,KEY=VALUE]...", in order.

    A BACKEND is a name, or "path/file.py:CLASS".
    `rewrite` and `threads` hold for those that do not name their own. Equal ones get a number, so that one can be
    timed against itself. UnknownNameError, OptionError, or BenchError for no candidate at all.
    """
    if not specs:
        raise BenchError("there is no candidate to time", hint=f"--backend NAME, of: {', '.join(backends())}")
    made: list[Candidate] = []
    for spec in specs:
        values = split_spec(spec)[1]
        own = values.pop("rewrite", None)
        kind: type[Backend] = class_from(parse_spec(spec), registry(), Backend)  # type: ignore[type-abstract]
        backend = build(kind, values, registry())
        check_backend(backend)
        where = rewrite if own is None else level(own)
        text = spelled(backend) + (f" -O{where}" if where else "")
        same = sum(item.label == text or item.label.startswith(f"{text} #") for item in made)
        if backend.threads is None and threads is not None:
            backend = replace(backend, threads=threads)
        made.append(Candidate(f"{text} #{same + 1}" if same else text, backend, where))
    return tuple(made)
