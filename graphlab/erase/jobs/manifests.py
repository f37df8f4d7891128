"""Manifests of the commands that make a mask or a model, read back: what a page is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphlab.erase.jobs.comparison import ChangedRole
from graphlab.erase.jobs.fuse import FusedRow
from graphlab.erase.jobs.record import SCHEMAS
from graphlab.erase.jobs.roles import RoleRow
from graphlab.report.decoding import ReportFileError, decode

SALIENCY, TRAIN, FUSE = (SCHEMAS[command] for command in ("saliency", "train", "fuse"))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What every manifest says, under the keys of `Record.write`."""

    source: str
    base_sha256: str
    config: Mapping[str, Any]
    seeds: Mapping[str, Any]
    inputs_sha256: Mapping[str, str]
    outputs_sha256: Mapping[str, str]
    versions: Mapping[str, str]
    threads: int


@dataclass(frozen=True, slots=True)
class Mask:
    """The mask of some `prompts`: `kept_after` each map so many entries were left; `roles` say where they lie."""

    prompts: tuple[str, ...]
    kept_after: tuple[int, ...]
    roles: tuple[RoleRow, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """How training went: `losses` {term: loss without its weight} by iteration; entries whose bits changed, by role;
    samples evaluated with gradient and without."""

    evaluations: int
    other_evaluations: int
    losses: tuple[Mapping[str, float], ...]
    roles: tuple[ChangedRole, ...]


@dataclass(frozen=True, slots=True)
class Fusion:
    """What became of every edit, by projection, in the order of the low-rank files."""

    prompts: tuple[str, ...]
    kept_tokens: int
    edits: tuple[FusedRow, ...]


@dataclass(frozen=True, slots=True)
class SaliencyManifest(Manifest):
    """What `graphlab erase saliency` writes beside its mask."""

    results: Mask


@dataclass(frozen=True, slots=True)
class TrainManifest(Manifest):
    """What `graphlab erase train` writes beside its model."""

    results: Training


@dataclass(frozen=True, slots=True)
class FuseManifest(Manifest):
    """What `graphlab erase fuse` writes beside its model."""

    results: Fusion

    @property
    def loras(self) -> tuple[str, ...]:
        """The names of the low-rank files; ReportFileError where the configuration has none."""
        return decode(tuple[str, ...], self.config.get("loras"), "config.loras")


def saliency_manifest_of(data: dict[str, Any]) -> SaliencyManifest:
    """The JSON of one; ReportFileError for anything else."""
    found = decode(SaliencyManifest, data)
    for at, row in enumerate(found.results.roles):
        if row.kept > row.entries or not row.entries:
            raise ReportFileError(f"results.roles[{at}]: {row.kept} of {row.entries} entries are kept")
    return found


def train_manifest_of(data: dict[str, Any]) -> TrainManifest:
    """The JSON of one; ReportFileError for anything else."""
    return decode(TrainManifest, data)


def fuse_manifest_of(data: dict[str, Any]) -> FuseManifest:
    """The JSON of one; ReportFileError for anything else."""
    found = decode(FuseManifest, data)
    files = len(found.loras)
    for at, row in enumerate(found.results.edits):
        if len(row.missed) != files:
            raise ReportFileError(f"results.edits[{at}] is of {len(row.missed)} files, expected {files}")
    return found
