"""What a candidate's process is told: files of programs, weights and inputs, a backend, and the calls of a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ProgramFiles:
    """One program of a stage: its .pt2 (an .onnx file of somebody's instead), its weights and inputs, its name."""

    name: str
    path: str
    values: tuple[str, ...]
    inputs: str

    @property
    def is_onnx(self) -> bool:
        """Whether it is a model file to be run as it is."""
        return Path(self.path).suffix == ".onnx"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the calls of a diffusion stage hang together: `latent` is the input that the scheduler's result goes into.

    `steps` are those of the schedule, `guided` whether a call holds two of the batch that are combined.
    """

    latent: str
    steps: int
    guided: bool


@dataclass(frozen=True, slots=True)
class Job:
    """`backend` is spelled with all its options.

    `weights`, one a program, are how many calls of it a sample stands for: each is timed by itself and counts as often.
    `sequence` are the programs, by index, that a whole generation runs one after the other; empty where only calls are
    timed. `sampling` is what lies between them in a diffusion stage.
    """

    backend: str
    programs: tuple[ProgramFiles, ...]
    weights: tuple[float, ...] = (1.0,)
    sequence: tuple[int, ...] = ()
    sampling: Sampling | None = None

    @property
    def estimates(self) -> bool:
        """Whether a sample that is not of the whole sequence stands for calls it does not make."""
        return any(weight != 1 for weight in self.weights)

    def to_dict(self) -> dict[str, Any]:
        """The job as JSON values."""
        return asdict(self)


def job_from(document: Mapping[str, Any]) -> Job:
    """The job of `Job.to_dict`."""
    sampling = document["sampling"]
    return Job(
        document["backend"],
        tuple(ProgramFiles(p["name"], p["path"], tuple(p["values"]), p["inputs"]) for p in document["programs"]),
        tuple(document["weights"]),
        tuple(document["sequence"]),
        Sampling(**sampling) if sampling is not None else None,
    )
