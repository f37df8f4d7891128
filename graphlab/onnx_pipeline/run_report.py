"""`RunReport`: what `graphlab run` did, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SCHEMA = "graphlab.run/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class ModelCalls:
    """How often a model ran, and the seconds of all its calls together."""

    model: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class OutputFile:
    """The file that a result was written to: its path, seen from the folder of the report, and its SHA-256."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunReport:
    """One generation. `arguments` are those the pipeline was called with; `shape` is that of the result, and `output`
    its file, None where it was not written."""

    folder: str
    pipeline: str
    provider: str
    seed: int
    arguments: Mapping[str, Any]
    shape: tuple[int, ...]
    load_seconds: float
    run_seconds: float
    models: tuple[ModelCalls, ...]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()
    output: OutputFile | None = None

    def to_dict(self) -> dict[str, Any]:
        """{key: value} of JSON types, with the schema first."""
        return {"schema": SCHEMA, **asdict(self), "shape": list(self.shape)}
