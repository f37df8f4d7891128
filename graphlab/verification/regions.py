"""Verification of programs too large to run: what differs between the graphs is cut out and run on random values.

The program after is walked in order. A call that has the name, operator and arguments of one before is the same call; a
value that a change names, or that keeps its name while its arguments change, is compared: the region between it and the
values known to be equal is run on both sides, on the same random numbers. What was compared and is equal counts as
known from there on, so by induction all results are equal. Numbers are drawn independently where the model's would
depend on each other: a region that differs is cut larger before it counts as broken. Drawn numbers are finite: how
a region treats NaN and infinities that come from outside of it is not compared; masks are computed, not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from graphlab.graph import Graph, Ref
from graphlab.symbolic import evaluate_any
from graphlab.verification.bindings import fixed_symbols, float64_bytes, peak_bytes
from graphlab.verification.compare import Tally
from graphlab.verification.cut import Cutter, Region, Side, same_call, size_of, starting_mates
from graphlab.verification.draws import Weights, constant
from graphlab.verification.inputs import inner_value, program_inputs
from graphlab.verification.pairs import Pair, only_pass
from graphlab.verification.result import Broken, Verification, VerifyOptions
from graphlab.verification.run import Execution, RunError, names_in, wide
from graphlab.verification.shape import Signer
from graphlab.verification.tape import Specs, Tape

_LOW = ("float32", "bfloat16", "float16")
_DENIALS = 8


@dataclass
class Verdict:
    """What running a region gave: `tally` of its values, or why it could not be run."""

    tally: Tally = field(default_factory=Tally)
    after_fails: str = ""
    unchecked: str = ""
    tried: tuple[dict[str, int], ...] = ()

    def equal(self, options: VerifyOptions) -> bool:
        """Whether it ran and both sides agree."""
        if self.after_fails or self.unchecked or not self.tally.said:
            return False
        return self.tally.double_holds(options) and self.tally.model_holds(options)


@dataclass
class Regions:
    """The comparison of two programs region by region."""

    before: Tape
    after: Tape
    pairs: Sequence[Pair]
    made: Sequence[Any]
    sizes: Sequence[dict[str, int]]
    options: VerifyOptions
    device: torch.device
    verdicts: dict[Any, Verdict] = field(default_factory=dict)
    unchecked: list[str] = field(default_factory=list)
    denied: dict[str, Broken] = field(default_factory=dict)
    compared: int = 0

    def __post_init__(self) -> None:
        self.drawn: dict[int, Weights] = {}
        self.graphs: dict[int, Graph] = {}
        self.specs: dict[int, tuple[Specs, Specs]] = {}
        self.signer = Signer(self.before, self.after, self._weights(self.options.seed))

    def _graph(self, index: int) -> Graph:
        """The graph after at the sizes `index`."""
        if index not in self.graphs:
            self.graphs[index] = self.after.program.graph.at(self.sizes[index])
        return self.graphs[index]

    def _specs(self, index: int) -> tuple[Specs, Specs]:
        """{value name: specs} of both programs at the sizes `index`."""
        if index not in self.specs:
            after = {node.name: node.outputs for node in self._graph(index).nodes}
            self.specs[index] = self.before.specs(self.sizes[index]), after
        return self.specs[index]

    def run(self) -> Verification:
        """Walks until nothing has to be taken back: a kept name that no longer means the same is no common value."""
        while True:
            self.compared, self.unchecked = 0, []
            broken = self._walk()
            if broken is None or broken.pass_name != _IMPLIED:
                break
            self.denied[broken.after] = broken
            if len(self.denied) == _DENIALS:
                break
        if broken is not None and self.denied:
            broken = next(iter(self.denied.values()))
        return self._result(broken)

    def _walk(self) -> Broken | None:
        self.cutter = Cutter(self.before, self.after, starting_mates(self.before, self.after))
        claims: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            claims.setdefault(pair.after, []).append(pair)
        given = (*self.after.weights, *self.after.constants, *self.after.inputs)
        for name in (*given, *(call.name for call in self.after.calls if call.size is None)):
            broken = self._kept(name) or next(filter(None, map(self._claim, claims.get(name, ()))), None)
            if broken is not None:
                return broken
        return self._results()

    def _kept(self, name: str) -> Broken | None:
        """A call both programs have by name: known to be equal where its arguments are, compared where not."""
        old, new = self.before.by_name.get(name), self.after.by_name.get(name)
        if old is None or new is None or old.op != new.op or name in self.denied:
            return None
        mates = self.cutter.mates
        if not same_call(old, new, self.before, self.after, mates):
            broken = self._claim(Pair(_IMPLIED, name, name))
            if broken is not None:
                return broken
        mates.add(name, name)
        return None

    def _claim(self, pair: Pair) -> Broken | None:
        mates = self.cutter.mates
        if mates.after.get(pair.before) == pair.after:
            return None
        broken = self._compare(pair, (Ref(pair.before), Ref(pair.after)))
        if broken is None:
            mates.after[pair.before] = pair.after
            mates.before.setdefault(pair.after, pair.before)
        return broken

    def _results(self) -> Broken | None:
        mates = self.cutter.mates
        pairs = [(f"result {i}", old, new) for i, (old, new) in enumerate(zip(*self._user_results(), strict=True))]
        for label in dict.fromkeys((*self.before.updates, *self.after.updates)):
            if label not in self.before.updates or label not in self.after.updates:
                return Broken("", label, label, "float64", float("inf"), 0.0, "only one of the programs writes it")
            pairs.append((label, self.before.updates[label], self.after.updates[label]))
        for label, old, new in pairs:
            if isinstance(old, Ref) and isinstance(new, Ref):
                left, right = size_of(self.before, old.name), size_of(self.after, new.name)
                equal = left == right if (left or right) is not None else mates.after.get(old.name) == new.name
                broken = None if equal else self._compare(Pair(only_pass(self.pairs), label, label), (old, new))
            else:
                broken = None if old == new else Broken("", label, label, "float64", float("inf"), 0.0)
            if broken is not None:
                return broken
        return None

    def _user_results(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return self.before.results, self.after.results

    def _compare(self, pair: Pair, templates: tuple[Any, Any]) -> Broken | None:
        """None when the pair is equal (or could not be compared, which is noted)."""
        wider: set[str] = set()
        verdict = None
        for _ in range(self.options.widenings + 1):
            region = self.cutter.region(pair, templates, (names_in(templates[0]), names_in(templates[1])), wider)
            larger = self._verdict(region)
            if larger.unchecked and verdict is not None:
                break  # grown past what can be run: the verdict on the smaller one stays
            verdict = larger
            inner = set(region.leaves) - set(self.after.inputs)
            if verdict.equal(self.options) or not inner:
                break
            wider |= (region.alone & inner) or inner
        assert verdict is not None
        self.compared += 1
        return self._judged(pair, verdict)

    def _judged(self, pair: Pair, verdict: Verdict) -> Broken | None:
        tally, options = verdict.tally, self.options
        who = (pair.pass_name, pair.before, pair.after)
        if verdict.after_fails:
            return Broken(*who, "float64", float("inf"), 0.0, verdict.after_fails)
        if not tally.double_holds(options):
            return Broken(*who, "float64", tally.double.worst, options.tolerance)
        if not tally.model_holds(options):
            return Broken(*who, "model", *tally.excess(options))
        if verdict.unchecked:
            self.unchecked.append(f"{pair.before}, now {pair.after}: {verdict.unchecked}")
        elif not tally.said:
            self.unchecked.append(f"{pair.before} holds nothing but NaN, infinities and zeros on random values")
        return None

    def _verdict(self, region: Region) -> Verdict:
        key = self.signer.signature(region, self.cutter.mates.after)
        if key not in self.verdicts:
            self.verdicts[key] = self._try(region)
        return self.verdicts[key]

    def _try(self, region: Region) -> Verdict:
        verdict = Verdict()
        tried: list[int] = []
        reasons: list[str] = []
        for index, values in enumerate(self.sizes):
            if len(tried) == self.options.bindings:
                break
            needed = self._bytes(region, index)
            if needed > self.options.limit_bytes:
                reasons.append(f"needs {needed / 2**30:.1f} GiB at {values or 'its fixed sizes'}")
                continue
            reason = self._at(region, index, self.options.seed, verdict)
            if reason:
                reasons.append(reason)
                continue
            tried.append(index)
            verdict.tried = tuple(self.sizes[number] for number in tried)
            if verdict.after_fails or not verdict.tally.double_holds(self.options):
                return verdict
        for redraw in range(1, self.options.redraws + 1):
            if not tried or verdict.tally.model_holds(self.options):
                break
            self._at(region, tried[0], self.options.seed + redraw, verdict)
        verdict.unchecked = "" if tried else "; ".join(dict.fromkeys(reasons))
        return verdict

    def _bytes(self, region: Region, index: int) -> int:
        old, new = self._specs(index)
        total = peak_bytes(region.before.calls, old) + peak_bytes(region.after.calls, new)
        total += sum(float64_bytes(spec) for name in region.leaves for spec in new[name])
        for specs, part in ((old, region.before), (new, region.after)):
            total += sum(float64_bytes(spec) for name in part.weights for spec in specs[name])
        return total

    def _at(self, region: Region, index: int, seed: int, verdict: Verdict) -> str:
        """Runs `region` once into `verdict`; returns why the side before does not run, "" when it does."""
        weights = self._weights(seed)
        weights.forget()
        leaves = self._leaves(region, index, seed)
        try:
            double = self._run(region, 0, index, leaves, weights, double=True)
            model = self._run(region, 0, index, leaves, weights, double=False) if self._low(region) else None
        except RunError as error:
            return error.message
        try:
            verdict.tally.add_double(double, self._run(region, 1, index, leaves, weights, double=True))
            if model is not None:
                found = self._run(region, 1, index, leaves, weights, double=False)
                verdict.tally.add_model(double, model, found)
        except RunError as error:
            verdict.after_fails = error.message
        return ""

    def _leaves(self, region: Region, index: int, seed: int) -> dict[str, torch.Tensor]:
        """{name after: tensor}; numbered, so that equal regions of different names get the same numbers."""
        graph = self._graph(index)
        given = program_inputs(graph, seed, self.device) if set(region.leaves) & set(self.after.inputs) else {}
        specs = self._specs(index)[1]
        found: dict[str, torch.Tensor] = {}
        for place, name in enumerate(region.leaves):
            spec = specs[name][0]
            if name in given:
                found[name] = given[name]
            elif len(specs[name]) == 1 and spec is not None:
                found[name] = inner_value(graph, name, spec, seed, f"value {place}", self.device)
            else:
                raise AssertionError(f"{name} has several tensors")  # such calls are always opened
        return found

    def _run(
        self, region: Region, which: int, index: int, leaves: dict[str, torch.Tensor], weights: Weights, *, double: bool
    ) -> Any:
        tape, part = (self.before, self.after)[which], (region.before, region.after)[which]
        mates = self.cutter.mates.after
        values: dict[str, Any] = {}
        for name in part.leaves:
            value = leaves[name if which else mates[name]]
            values[name] = wide(value) if double else value
        for name in part.weights:
            values[name] = self._stored(tape, name, weights, double)
        values.update(self._sizes_of(tape, part, region.templates[which], index))
        template = region.templates[which]
        run = Execution(part.calls, values, device=self.device, double=double, keep=names_in(template))
        run.finish()
        return run.results(template)

    def _stored(self, tape: Tape, name: str, weights: Weights, double: bool) -> torch.Tensor:
        if name in tape.weights:
            return weights.get(tape.weights[name], double=double)
        value = constant(name, tape.constants[name], weights.seed, self.device)
        return wide(value) if double else value

    def _sizes_of(self, tape: Tape, part: Side, template: Any, index: int) -> dict[str, Any]:
        names = {ref for call in part.calls for ref in call.refs} | names_in(template)
        found: dict[str, Any] = {}
        for name in names:
            size = size_of(tape, name)
            if size is not None:
                found[name] = size if isinstance(size, int) else evaluate_any(size, self.sizes[index])
        return found

    def _low(self, region: Region) -> bool:
        old, new = self._specs(0)
        names = [(old, call.name) for call in region.before.calls] + [(new, call.name) for call in region.after.calls]
        return any(spec is not None and spec.dtype in _LOW for specs, name in names for spec in specs[name])

    def _weights(self, seed: int) -> Weights:
        if seed not in self.drawn:
            graph = self.before.program.graph
            self.drawn[seed] = Weights(self.before.exported, graph, self.made, seed, self.device)
        return self.drawn[seed]

    def _result(self, broken: Broken | None) -> Verification:
        tallies = [verdict.tally for verdict in self.verdicts.values() if verdict.equal(self.options) or broken]
        tried = list({str(t): t for verdict in self.verdicts.values() for t in verdict.tried}.values())
        notes = list(dict.fromkeys(self.unchecked))
        if tried and self.before.program.graph.symbols:
            if len(tried) < self.options.bindings:
                notes.append(f"only {len(tried)} of {self.options.bindings} bindings of the sizes were found")
            notes.extend(f"{symbol} had one size in every run" for symbol in fixed_symbols(tried) if len(tried) > 1)
        failed = len(self.unchecked) == self.compared and self.compared > 0
        if broken is not None and broken.pass_name == _IMPLIED:
            broken = replace(broken, pass_name="")
        return Verification(
            ok=broken is None and not failed,
            mode="regions",
            bindings=tuple(tried),
            worst_float64=max((tally.double.worst for tally in tallies), default=None),
            worst_model=max((tally.model.worst for tally in tallies), default=None),
            own_error=max((tally.own.worst for tally in tallies), default=None),
            compared=self.compared,
            distinct=len(self.verdicts),
            broken=broken,
            unchecked=tuple(notes),
        )


_IMPLIED = "(kept)"
"""The pass of a pair that no change names: one name in both programs with other arguments."""
