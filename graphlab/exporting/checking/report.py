"""What a check says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.report.export_data import BindingCheck, CheckRow

NOISE_FACTOR = 8
"""How many times PyTorch's own rounding error a model may be off: two implementations round in different places."""


@dataclass(frozen=True, slots=True)
class Structure:
    """`inferred` values whose recorded shape was inferred again, `unknown` ones inference finds none for, `foreign`
    nodes of other domains than the standard's, and in `wrong` what disagrees, one sentence each."""

    inferred: int
    unknown: int
    foreign: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseCheck:
    """One run: `sizes` {symbol: size}, the `seed` of its inputs, the worst `error` and `max_error` over the results,
    and `why` where a result is not finite, or of another shape. `noise` is the error of PyTorch's own result against
    the same run in float64: large where a model amplifies rounding, as the sine of a large angle does."""

    sizes: Mapping[str, int]
    seed: int
    error: float
    max_error: float
    why: str = ""
    noise: float = 0.0

    def within(self, tolerance: float) -> bool:
        """Whether the error is within `tolerance`, or within what PyTorch's own rounding explains."""
        return self.error <= max(tolerance, NOISE_FACTOR * self.noise)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The check of one model.

    `ok` says that the structure is sound, the model loads and every error is within `tolerance`; of a model that was
    not run (`checked` is False, `why` says what kept it from that) only the structure is covered. `broken` is what
    onnx's checker or ONNX Runtime said against the model. `reference` says in words what ONNX Runtime was compared
    with. `notes` are sizes that could not be tried, and why.
    """

    checked: bool
    why: str
    provider: str
    reference: str
    tolerance: float
    structure: Structure | None
    cases: tuple[CaseCheck, ...] = ()
    broken: str = ""
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float | None:
        """The worst error over the runs; None where there was none."""
        return max((case.error for case in self.cases), default=None)

    @property
    def sound(self) -> bool:
        """Whether nothing was found against the structure."""
        return self.structure is None or not self.structure.wrong

    @property
    def ok(self) -> bool:
        """Whether nothing that was looked at is wrong."""
        return not self.broken and self.sound and all(case.within(self.tolerance) for case in self.cases)

    def row(self, diverges: str = "") -> CheckRow:
        """The same as reports show it; `diverges` says where the model starts to differ."""
        bindings = tuple(BindingCheck(dict(case.sizes), case.error, case.max_error, case.noise) for case in self.cases)
        wrong = self.structure.wrong if self.structure is not None else ()
        why = self.broken or (wrong[0] if wrong else self.why or next((c.why for c in self.cases if c.why), ""))
        return CheckRow(self.checked, self.ok, why, self.provider, self.tolerance, self.error, bindings, diverges)
