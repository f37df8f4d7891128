"""What `characterize` returns: a row a model, the figures, and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.report.decoding import SIGNED
from graphlab.report.figure import Figure
from graphlab.report.finding import Finding

SCHEMA = "graphlab.characterization/1"


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage over a generation. `seconds` are estimates, of all its calls, with baseline and fused attention.

    `flops` are without those of `unknown_nodes`, the calls of one call's graph that have no rule, and None where none
    has one. `seconds_compiled` is None where the device's time model cannot tell.
    """

    name: str
    family: str
    steps: int
    calls: int
    parameters: int
    flops: int | None
    bytes_baseline: int
    bytes_fused: int
    seconds_baseline: float
    seconds_fused: float
    seconds_compiled: float | None
    idle_fused: float
    unknown_nodes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model's generation: sums over its stages, weights that stages share counted once."""

    name: str
    kind: str
    family: str
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    parameters: int
    weight_bytes: int
    flops: int | None
    bytes_baseline: int
    bytes_fused: int
    peak_bytes_baseline: int
    peak_bytes_fused: int
    seconds_baseline: float
    seconds_fused: float
    seconds_compiled: float | None
    idle_fused: float
    stages: tuple[StageRow, ...]
    unknown_nodes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Every field by name."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"bindings": dict(self.bindings), "stages": [stage.to_dict() for stage in self.stages]}


@dataclass(frozen=True, slots=True)
class CharacterizationReport:
    """Models on a device: a row a model, `figures` in report order, `findings` what they say.

    `assumptions` maps each model to what was assumed of it.
    """

    device: str
    device_title: str
    dtype: str | None
    models: tuple[ModelRow, ...]
    figures: tuple[Figure, ...]
    findings: tuple[Finding, ...]
    assumptions: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]

    def figure(self, name: str) -> Figure:
        """The figure called `name`; KeyError otherwise."""
        return next(figure for figure in self.figures if figure.name == name)

    def to_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return {
            "schema": SCHEMA,
            "device": self.device,
            "device_title": self.device_title,
            "dtype": self.dtype,
            "models": [row.to_dict() for row in self.models],
            "figures": [figure.to_dict() for figure in self.figures],
            "findings": [finding.to_dict() for finding in self.findings],
            "assumptions": {name: list(lines) for name, lines in self.assumptions.items()},
            "notes": list(self.notes),
        }
