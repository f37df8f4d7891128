"""`ExportReport`: what `graphlab export` wrote, as values; `to_dict` is what `--json` prints.

docs/json_schema.md documents every key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.report.decoding import SIGNED
from graphlab.report.rewrite_data import SkipGroup, as_json

SCHEMA = "graphlab.export/1"
"""Version of the JSON layout; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or result of a model: its name, ONNX's name of its dtype, and its sizes, integers or text over axes."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class BindingCheck:
    """ONNX Runtime against PyTorch at one set of sizes.

    `max_error` is the largest absolute difference, `error` that over the root mean square of PyTorch's result. `noise`
    is the error of PyTorch's own result against float64, 0 where that was not run.
    """

    sizes: Mapping[str, int]
    error: float
    max_error: float
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class CheckRow:
    """The check of one model: `checked` says whether it was compared, `why` what kept it from that.

    `error` is the worst of `bindings`, `ok` whether it is within `tolerance`. `provider` is what ran it.
    """

    checked: bool
    ok: bool
    why: str
    provider: str
    tolerance: float
    error: float | None
    bindings: tuple[BindingCheck, ...]
    diverges: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the export and the seconds it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model that was written.

    `data` is the file of its weights where they have one of their own. `operators` counts them by "domain::name", or
    name alone for the standard's. `attention_sites` are those of the program, `attention_fused` the operators of the
    model that are one attention each. `islands` are nodes kept in float32 in a model of half precision.
    """

    stage: str
    path: str
    data: str | None
    nbytes: int
    weight_bytes: int
    target: str
    opset: int
    dtype: str
    weights: str
    random_weights: bool
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: int
    operators: Mapping[str, int]
    attention_sites: int
    attention_fused: int
    islands: tuple[str, ...]
    check: CheckRow
    phases: tuple[Phase, ...]
    skips: tuple[SkipGroup, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The models of one export. `files` are the others: configurations, scheduler, tokenizer."""

    source: str
    workload: str
    bindings: Annotated[Mapping[str, int | float], SIGNED]
    target: str
    level: int | None
    passes: tuple[str, ...]
    models: tuple[ModelReport, ...]
    files: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """{key: value} of JSON types, in the order of the fields, with the schema first."""
        return {"schema": SCHEMA, **_finite(as_json(self))}


def _finite(value: Any) -> Any:
    """`value` with None for numbers JSON does not have: the error of a result that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
