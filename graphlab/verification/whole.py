"""Both programs run side by side on the same numbers, at several sizes, in float64 and in the model's dtype."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from graphlab.verification.bindings import fixed_symbols
from graphlab.verification.compare import Tally
from graphlab.verification.draws import Weights, constant
from graphlab.verification.inputs import has_masks, in_double, program_inputs
from graphlab.verification.pairs import Pair, common, only_pass
from graphlab.verification.result import Broken, Verification, VerifyOptions
from graphlab.verification.run import Execution, RunError, names_in
from graphlab.verification.tape import Tape

_LOW = ("float32", "bfloat16", "float16")


@dataclass
class Whole:
    """The comparison of two whole programs; `pairs` are the claims of changes, in the order of the program after."""

    before: Tape
    after: Tape
    pairs: Sequence[Pair]
    weights: Sequence[Any]
    options: VerifyOptions
    device: torch.device
    tallies: dict[Pair, Tally] = field(default_factory=dict)
    tried: list[dict[str, int]] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    no_model: bool = False

    def run(self, sizes: Iterator[dict[str, int]]) -> Verification:
        """Takes from `sizes` until enough of them ran; stops at the first difference in float64."""
        for values in sizes:
            if len(self.tried) == self.options.bindings:
                break
            problem = self._at(values, self.options.seed)
            if problem is not None:
                return self._result(problem)
        self._notes()
        if not self.tried:
            return self._result(None)
        for redraw in range(1, self.options.redraws + 1):
            if not self._broken_models():
                break  # few elements can have a lucky own error: more draws before anything is called broken
            self._at(self.tried[0], self.options.seed + redraw)
        broken = self._broken_models()
        return self._result(self._named(broken[0]) if broken else None)

    def _at(self, values: dict[str, int], seed: int) -> Broken | None:
        rounds = (False, True) if self.options.masked_rows and has_masks(self.before.program.graph) else (False,)
        for rows in rounds:
            try:
                problem = self._compare(values, seed, rows, self.pairs, self.tallies)
            except _ModelError as error:
                self.no_model = True
                self.unchecked.append(f"not compared in the model's dtype, which does not run: {error.message}")
                return self._at(values, seed)
            except RunError as error:
                self.unchecked.append(f"at {_sizes(values)} the program before does not run: {error.message}")
                return None
            if values not in self.tried:
                self.tried.append(values)
            if problem is not None:
                return problem
        return None

    def _compare(
        self, values: dict[str, int], seed: int, rows: bool, pairs: Sequence[Pair], tallies: dict[Pair, Tally]
    ) -> Broken | None:
        """Runs all four in step; fills `tallies`; the first pair that differs in float64."""
        runs = _Four(self, pairs, self._feeds(values, seed, rows))
        try:
            for pair, found in runs.values():
                tally = tallies.setdefault(pair, Tally())
                runs.count(tally, found)
                if not tally.double_holds(self.options):
                    return self._double_broken(pair, tally, values, seed, rows)
        except _AfterError as error:
            made = next((pair for pair in pairs if pair.after == error.node), Pair(only_pass(pairs), "", error.node))
            return Broken(made.pass_name, made.before, made.after, "float64", float("inf"), 0.0, error.message)
        return None

    def _double_broken(self, pair: Pair, tally: Tally, values: dict[str, int], seed: int, rows: bool) -> Broken:
        if not pair.before.startswith("result") and not pair.before.startswith("buffer"):
            return _broken(pair, tally, self.options, "float64")
        shared = common(self.before, self.after)
        if shared and tuple(shared) != tuple(self.pairs):
            inner = Whole(self.before, self.after, shared, self.weights, self.options, self.device)
            found = inner._compare(values, seed, rows, shared, {})
            if found is not None:
                return found
        return _broken(pair, tally, self.options, "float64")

    def _feeds(self, values: dict[str, int], seed: int, rows: bool) -> list[dict[str, torch.Tensor]]:
        """Values to start from: before and after in float64, before and after in the model's dtype."""
        graph = self.before.program.graph.at(values)
        given = program_inputs(graph, seed, self.device, rows=rows)
        weights = Weights(self.before.exported, self.before.program.graph, self.weights, seed, self.device)
        feeds = []
        for double in (True, False) if self._low else (True,):
            fed = in_double(given) if double else given
            keys = dict.fromkeys((*self.before.weights.values(), *self.after.weights.values()))
            drawn = {key: weights.get(key, double=double) for key in keys}
            for tape in (self.before, self.after):
                mine = {name: drawn[key] for name, key in tape.weights.items()}
                inner = {name: constant(name, value, seed, self.device) for name, value in tape.constants.items()}
                names = zip(tape.inputs, self.before.inputs, strict=True)
                inputs = {name: fed[old] for name, old in names}
                feeds.append({**inputs, **mine, **(in_double(inner) if double else inner)})
        return feeds

    @property
    def _low(self) -> bool:
        """Whether anything is computed below float64, in a dtype the device can run."""
        if self.no_model:
            return False
        nodes = (*self.before.program.graph.nodes, *self.after.program.graph.nodes)
        return any(spec is not None and spec.dtype in _LOW for node in nodes for spec in node.outputs)

    def _broken_models(self) -> list[Pair]:
        return [pair for pair, tally in self.tallies.items() if not tally.model_holds(self.options)]

    def _named(self, pair: Pair) -> Broken:
        return _broken(pair, self.tallies[pair], self.options, "model")

    def _notes(self) -> None:
        self.unchecked.extend(
            f"{pair.before} holds nothing but NaN, infinities and zeros in every run"
            for pair, tally in self.tallies.items()
            if not tally.said and tally.double.count
        )
        symbols = self.before.program.graph.symbols
        if symbols and len(self.tried) < self.options.bindings:
            self.unchecked.append(f"only {len(self.tried)} of {self.options.bindings} bindings of the sizes were found")
        fixed = fixed_symbols(self.tried) if len(self.tried) > 1 else []
        self.unchecked.extend(f"{symbol} had one size in every run" for symbol in fixed)

    def _result(self, broken: Broken | None) -> Verification:
        tallies = list(self.tallies.values())
        said = any(tally.said or not tally.double.count for tally in tallies)
        return Verification(
            ok=broken is None and bool(self.tried) and said,
            mode="whole",
            bindings=tuple(self.tried),
            worst_float64=max((tally.double.worst for tally in tallies), default=None),
            worst_model=max((tally.model.worst for tally in tallies), default=None) if self._low else None,
            own_error=max((tally.own.worst for tally in tallies), default=None) if self._low else None,
            compared=len(tallies),
            broken=broken,
            unchecked=tuple(self.unchecked),
        )


class _AfterError(RunError):
    """The program after fails where the program before runs."""

    def __init__(self, error: RunError) -> None:
        super().__init__(error.message)
        self.node = error.message.split(" at node ")[-1].split(" ")[0]


class _ModelError(RunError):
    """The program before runs in float64 and not in the model's dtype."""


class _Four:
    """Before and after, in float64 and (where that is another) in the model's dtype, run as far as the next pair."""

    def __init__(self, whole: Whole, pairs: Sequence[Pair], feeds: list[dict[str, torch.Tensor]]) -> None:
        self.whole, self.pairs = whole, pairs
        self.runs: list[Execution] = []
        self.held: list[dict[str, Any]] = [{} for _ in feeds]
        self.left: list[dict[str, int]] = [{} for _ in feeds]
        for index, feed in enumerate(feeds):
            old, tape = index % 2 == 0, whole.before if index % 2 == 0 else whole.after
            for pair in pairs:
                name = pair.before if old else pair.after
                self.left[index][name] = self.left[index].get(name, 0) + 1
            keep = names_in((tape.results, tape.updates))
            self.runs.append(
                Execution(tape.calls, feed, device=whole.device, double=index < 2, wanted=self.left[index], keep=keep)
            )
        self.steps = [iter(run) for run in self.runs]

    def values(self) -> Iterator[tuple[Pair, list[Any]]]:
        """(pair, its values in every run), in the order of the program after; then the results."""
        for pair in self.pairs:
            names = [pair.before if index % 2 == 0 else pair.after for index in range(len(self.runs))]
            yield pair, [self._get(index, name) for index, name in enumerate(names)]
        for index in range(len(self.runs)):
            self._get(index, None)
        yield from self._outcomes()

    def _get(self, index: int, name: str | None) -> Any:
        """The value `name` of run `index`, which goes on until it is there (to the end for None)."""
        held = self.held[index]
        try:
            while name is None or name not in held:
                found = next(self.steps[index], None)
                if found is None:
                    break
                held[found[0]] = found[1]
        except RunError as error:
            if index % 2:
                raise _AfterError(error) from error
            raise (_ModelError(error.message) if index else error) from error
        if name is None:
            return None
        value = held[name]
        self.left[index][name] -= 1
        if not self.left[index][name]:
            del held[name]
        return value

    def _outcomes(self) -> Iterator[tuple[Pair, list[Any]]]:
        before, after = self.whole.before, self.whole.after
        tapes = [before if index % 2 == 0 else after for index in range(len(self.runs))]
        for place in range(len(before.results)):
            label = f"result {place}"
            found = [run.results(tape.results[place]) for run, tape in zip(self.runs, tapes, strict=True)]
            yield Pair(only_pass(self.whole.pairs), label, label), found
        for label in _written(before, after):
            found = [_final(run, tape, label) for run, tape in zip(self.runs, tapes, strict=True)]
            yield Pair(only_pass(self.whole.pairs), label, label), found

    def count(self, tally: Tally, found: list[Any]) -> None:
        """Adds the values of one pair to its tally."""
        tally.add_double(found[0], found[1])
        if len(found) == 4:
            tally.add_model(found[0], found[2], found[3])


def _written(before: Tape, after: Tape) -> list[str]:
    """Labels of the buffers and inputs that either program writes."""
    labels = dict.fromkeys((*before.updates, *after.updates))
    if before.writes or after.writes:
        for tape in (before, after):
            buffers = {spec.target for spec in tape.exported.graph_signature.input_specs if spec.kind.name == "BUFFER"}
            labels.update(dict.fromkeys(f"buffer {key}" for key in tape.weights.values() if key in buffers))
            labels.update(dict.fromkeys(f"input {name}" for name in tape.inputs))
    shared = set(before.weights.values()) & set(after.weights.values())
    return [label for label in labels if label.startswith("input ") or label.removeprefix("buffer ") in shared]


def _final(run: Execution, tape: Tape, label: str) -> Any:
    if label in tape.updates:
        return run.results(tape.updates[label])
    kind, key = label.split(" ", 1)
    name = key if kind == "input" else next(name for name, found in tape.weights.items() if found == key)
    return run.given_value(name)


def _broken(pair: Pair, tally: Tally, options: VerifyOptions, precision: str) -> Broken:
    if precision == "float64":
        return Broken(pair.pass_name, pair.before, pair.after, precision, tally.double.worst, options.tolerance)
    return Broken(pair.pass_name, pair.before, pair.after, precision, *tally.excess(options))


def _sizes(values: Mapping[str, int]) -> str:
    return ", ".join(f"{symbol}={value}" for symbol, value in values.items()) or "its fixed sizes"
