"""How to export: what the command's options become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphlab.exporting.errors import ExportError
from graphlab.exporting.targets import Target

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`dtype` is that of floating weights and inputs, None for the program's own.

    `check` runs the model; `force` keeps one that differs by more than `tolerance` (None: that of the dtype).
    """

    target: Target
    dtype: str | None = None
    check: bool = True
    force: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None and self.dtype not in DTYPES:
            raise ExportError(f"there is no dtype {self.dtype!r} to export in", hint=f"dtypes: {', '.join(DTYPES)}")


@dataclass(frozen=True, slots=True)
class Naming:
    """What a model calls its inputs ({program's name: model's}), its results in order, and its axes ({symbol: name}).

    What is not named keeps the program's names.
    """

    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Sequence[str] = ()
    axes: Mapping[str, str] = field(default_factory=dict)
