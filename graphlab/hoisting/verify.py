"""`verify_split`: whether prologue, table and step together compute what the program they were split from does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from graphlab.hoisting.hoist import NAME
from graphlab.hoisting.loop import Loop, Place, SplitFailed
from graphlab.hoisting.result import HoistResult
from graphlab.program import Program
from graphlab.units import format_bytes
from graphlab.verification.bindings import bytes_to_run, fixed_symbols, ordered_candidates
from graphlab.verification.compare import Tally
from graphlab.verification.inputs import has_masks
from graphlab.verification.result import Broken, Verification, VerifyOptions
from graphlab.verification.run import RunError
from graphlab.verification.tape import tape

_DEFAULT = VerifyOptions()
_LOW = ("float32", "bfloat16", "float16")
_WHOLE = "that prologue, table and step together equal the program they were split from"


def verify_split(program: Program, result: HoistResult, options: VerifyOptions = _DEFAULT) -> Verification:
    """Whether the parts of `result` compute what `program`, which was split into them, does; if not, which does not.

    Weights and inputs are drawn as `graphlab.verification.verify` draws them. At `options.bindings` sizes of every
    symbol, the prologue runs once, the table and the step at three values of the schedule inputs, the whole program
    at each of them with other stepping inputs: in float64 and in the model's dtype, under the same bounds. Results
    decide; where one differs, the first value crossing between parts that does says which part it was. A program that
    does not fit `options.limit_bytes` is not run: `unchecked` says so. VerificationError when a program cannot be run
    at all.
    """
    if not result.modified:
        return Verification(True, "whole")
    whole = tape(program)
    sizes = ordered_candidates((whole,), options)
    needed = bytes_to_run((whole, whole), sizes[0])  # the parts hold no weights and make no values but its own
    if needed > options.limit_bytes and options.mode != "whole":
        sized = f"{format_bytes(needed)} of {format_bytes(options.limit_bytes)}"
        return Verification(True, "whole", unchecked=(f"{_WHOLE}: too large to run, it would take {sized}",))
    return _Split(program, result, options).run(sizes)


@dataclass
class _Split:
    program: Program
    result: HoistResult
    options: VerifyOptions
    tallies: dict[Place, Tally] = field(default_factory=dict)
    tried: list[dict[str, int]] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    no_model: bool = False

    def run(self, sizes: Sequence[dict[str, int]]) -> Verification:
        """Takes from `sizes` until enough of them ran; stops at the first difference in float64."""
        for values in sizes:
            if len(self.tried) == self.options.bindings:
                break
            problem = self._at(values, self.options.seed)
            if problem is not None:
                return self._outcome(problem)
        for redraw in range(1, self.options.redraws + 1):
            if not self._broken("model") or not self.tried:
                break  # few elements can have a lucky own error: more draws before anything is called broken
            problem = self._at(self.tried[0], self.options.seed + redraw)
            if problem is not None:
                return self._outcome(problem)
        self._notes()
        return self._outcome(self._named("model") if self._broken("model") else None)

    def _at(self, values: dict[str, int], seed: int) -> Broken | None:
        masked = self.options.masked_rows and has_masks(self.program.graph)
        for rows in (False, True) if masked else (False,):
            try:
                self._compare(values, seed, rows)
            except SplitFailed as error:
                return self._failed(error)
            except RunError as error:
                self.unchecked.append(f"at {_shown(values)} the program before does not run: {error.message}")
                return None
            if values not in self.tried:
                self.tried.append(values)
            if self._broken("float64"):
                return self._named("float64")
        return None

    def _compare(self, values: Mapping[str, int], seed: int, rows: bool) -> None:
        """Runs both loops in both precisions; fills `tallies`."""
        device = torch.device(self.options.device)
        double = Loop(self.program, self.result, values, seed=seed, device=device, rows=rows)
        low = Loop(
            self.program, self.result, values, double=False, seed=seed, device=device, rows=rows, weights=double.weights
        )
        exact = list(double.steps())
        for step in exact:
            for place, (before, after) in step.items():
                self.tallies.setdefault(place, Tally()).add_double(before, after)
        if not self._low or self._broken("float64"):
            return
        try:
            for reference, step in zip(exact, low.steps(), strict=True):
                for place, (before, after) in step.items():
                    self.tallies[place].add_model(reference[place][0], before, after)
        except SplitFailed:
            raise
        except RunError as error:
            self.no_model = True
            self.unchecked.append(f"not compared in the model's dtype, which does not run: {error.message}")

    @property
    def _low(self) -> bool:
        """Whether anything is computed below float64, in a dtype the device can run."""
        specs = [spec for node in self.program.graph.nodes for spec in node.outputs if spec is not None]
        return not self.no_model and any(spec.dtype in _LOW for spec in specs)

    def _differ(self, precision: str) -> list[Place]:
        """What differs, in the order the parts run."""
        order = {"prologue": 0, "table": 1, "step": 2}
        holds = Tally.double_holds if precision == "float64" else Tally.model_holds
        found = [place for place, tally in self.tallies.items() if not holds(tally, self.options)]
        return sorted(found, key=lambda place: order[place.part])

    def _broken(self, precision: str) -> bool:
        """Whether a result differs; what crosses may, where it makes no difference."""
        return any(place.part == "step" for place in self._differ(precision))

    def _named(self, precision: str) -> Broken:
        place = self._differ(precision)[0]
        tally = self.tallies[place]
        error, bound = tally.double.worst, self.options.tolerance
        if precision != "float64":
            error, bound = tally.excess(self.options)
        why = self._suspects() if place.part == "step" else ""
        return Broken(self._pass, place.name, f"{place.name} of the {place.part}", precision, error, bound, why)

    def _failed(self, error: SplitFailed) -> Broken:
        return Broken(self._pass, f"the {error.part}", f"the {error.part}", "float64", float("inf"), 0.0, error.message)

    @property
    def _pass(self) -> str:
        return next((change.pass_name for change in self.result.changes), NAME)

    def _suspects(self) -> str:
        """What the step takes that the whole program has not, so that it cannot be told whether it is right."""
        made = (*self.result.prologue_outputs, *self.result.table_outputs)
        unknown = [name for name in made if not any(place.name == name for place in self.tallies)]
        return f"or in {', '.join(unknown)}, which the program before has not" if unknown else ""

    def _notes(self) -> None:
        self.unchecked.extend(
            f"{place.name} holds nothing but NaN, infinities and zeros in every run"
            for place, tally in self._results.items()
            if not tally.said and tally.double.count
        )
        symbols = self.program.graph.symbols
        if symbols and len(self.tried) < self.options.bindings:
            self.unchecked.append(f"only {len(self.tried)} of {self.options.bindings} bindings of the sizes were found")
        fixed = fixed_symbols(self.tried) if len(self.tried) > 1 else []
        self.unchecked.extend(f"{symbol} had one size in every run" for symbol in fixed)

    @property
    def _results(self) -> dict[Place, Tally]:
        return {place: tally for place, tally in self.tallies.items() if place.part == "step"}

    def _outcome(self, broken: Broken | None) -> Verification:
        tallies = list(self._results.values())
        model = self._low and any(tally.model.count for tally in tallies)
        said = any(tally.said or not tally.double.count for tally in tallies)
        return Verification(
            ok=broken is None and bool(self.tried) and said,
            mode="whole",
            bindings=tuple(self.tried),
            worst_float64=max((tally.double.worst for tally in tallies), default=None),
            worst_model=max(tally.model.worst for tally in tallies) if model else None,
            own_error=max(tally.own.worst for tally in tallies) if model else None,
            compared=len(tallies),
            broken=broken,
            unchecked=tuple(dict.fromkeys(self.unchecked)),
        )


def _shown(values: Mapping[str, int]) -> str:
    return ", ".join(f"{symbol}={value}" for symbol, value in values.items()) or "its fixed sizes"
