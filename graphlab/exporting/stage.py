"""One program to one checked model on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from graphlab.exporting.checking.check import ANY_PROVIDER, check_model
from graphlab.exporting.checking.divergence import Divergence, first_divergence
from graphlab.exporting.checking.process import ChildDied, ChildError
from graphlab.exporting.checking.ranges import overflows
from graphlab.exporting.checking.report import CaseCheck, CheckReport
from graphlab.exporting.errors import ExportError
from graphlab.exporting.float16 import halved, to_half
from graphlab.exporting.limits import limits, size_limits
from graphlab.exporting.options import ExportOptions, Naming
from graphlab.exporting.ports import ports, rename_ports
from graphlab.exporting.probe import installed_runtimes, probed, runtime_conflict
from graphlab.exporting.retype import main_dtype
from graphlab.exporting.saving import Saved, add_metadata, staged, write_model
from graphlab.exporting.targets import CONTRIB, Target
from graphlab.exporting.translate import Lowered, to_onnx
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.export_data import CheckRow, ModelReport, Phase
from graphlab.rewriting.account import figures, grouped_skips
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.rewriting.result import RewriteResult
from graphlab.weights.source import WeightSource
from graphlab.weights.values import Values

_HALVES = ("float16", "bfloat16")
_ATTENTIONS = frozenset(
    {"Attention", f"{CONTRIB}::MultiHeadAttention", f"{CONTRIB}::GroupQueryAttention", f"{CONTRIB}::Attention"}
)


@dataclass
class _Clock:
    phases: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - start


def export_program(
    program: Program,
    result: RewriteResult,
    source: WeightSource,
    path: Path,
    options: ExportOptions,
    *,
    naming: Naming | None = None,
    sizes: Mapping[str, int] | None = None,
    notes: Sequence[str] = (),
    origin: str = "",
    before: Mapping[str, float] | None = None,
) -> ModelReport:
    """Writes `result`, a rewrite of the captured `program`, with the values of `source` to `path`; what was written.

    The model is translated, named, written beside its place, compared with `program` run by PyTorch, stamped, and
    moved there. `sizes` are those the attention is counted at ({symbol: size}; the example's without). ExportError
    for what cannot be written, and for a model that differs, unless options.force. `before` are seconds spent before,
    by what on; `origin` is what the model says it was made of.
    """
    clock = _Clock(dict(before or {}))
    target, kernels = _for_dtype(*probed(options.target), options.dtype or main_dtype(program))
    kernels += tuple(filter(None, (runtime_conflict(),)))
    with staged(path) as folder:
        made = _Making(program, result, source, folder / path.name, options, target, naming or Naming(), clock, kernels)
        lowered, check, islands = made.run()
        add_metadata(made.path, _provenance(origin or program.name, made, check))
        nbytes = sum(item.stat().st_size for item in folder.iterdir())
        data = made.saved.data
    found = figures(Facts(result.program.graph, dict(sizes or result.program.graph.symbols)))
    model = lowered.model
    return ModelReport(
        stage=program.name,
        path=str(path),
        data=str(path.parent / data.name) if data is not None else None,
        nbytes=nbytes,
        weight_bytes=made.saved.weight_bytes,
        target=target.name,
        opset=target.opset,
        dtype=options.dtype or main_dtype(program),
        weights=source.spec,
        random_weights=source.is_random,
        inputs=ports(model.graph.inputs),
        outputs=ports(model.graph.outputs),
        nodes=len(model.graph),
        operators=lowered.operators,
        attention_sites=found.attention_fused + found.attention_spelled,
        attention_fused=sum(count for name, count in lowered.operators.items() if name in _ATTENTIONS),
        islands=tuple(f"{name}: {why}" for name, why in islands.items()),
        check=check,
        phases=tuple(Phase(name, seconds) for name, seconds in clock.phases.items()),
        skips=grouped_skips((*result.skips, *lowered.skips)),
        notes=(*program.notes, *limits(program, made.naming.axes), *source.notes, *kernels, *made.notes, *notes),
    )


@dataclass
class _Making:
    """One model being made at `path`, in a folder that is not its place yet."""

    program: Program
    result: RewriteResult
    source: WeightSource
    path: Path
    options: ExportOptions
    target: Target
    naming: Naming
    clock: _Clock
    kernels: Sequence[str] = ()
    saved: Saved = field(init=False)
    notes: list[str] = field(default_factory=list)

    def run(self) -> tuple[Lowered, CheckRow, Mapping[str, str]]:
        """The model as it was written last, its check, and {node kept in float32: why}."""
        with self.clock("translate"):
            lowered = to_onnx(self.result.program, self.target, self.naming.axes)
        dtype = self.options.dtype
        if dtype in _HALVES and dtype != main_dtype(self.program):
            found = halved(lowered, dtype, self.attempt, self.naming.axes, self._large(lowered, dtype))
            return found.lowered, self._verdict(found.report, found.found), found.islands
        if dtype is not None:
            lowered = to_half(lowered, dtype, (), self.naming.axes)
        report, divergence = self.attempt(lowered)
        return lowered, self._verdict(report, divergence), {}

    def attempt(self, lowered: Lowered) -> tuple[CheckReport, Divergence | None]:
        """Writes `lowered`, checks it and, where it differs, looks for the node where it starts to."""
        rename_ports(lowered.model, self.naming)
        recipes = (*self.result.new_tensors, *lowered.new_tensors)
        with self.clock("write"):
            values = Values(lowered.program, self.source, recipes, self.program)
            self.saved = write_model(lowered, values, self.path)
        if not self.options.check:
            return _unchecked(self.target), None
        with self.clock("check"):
            report = self._checked()
        self.notes += [note for note in report.notes if note not in self.notes]
        failed = next((case for case in report.cases if not case.within(report.tolerance)), None)
        if failed is None:
            return report, None
        with self.clock("bisect"):
            return report, self._diverges(lowered, recipes, failed, report)

    def _checked(self) -> CheckReport:
        base = self.result.base
        return check_model(
            self.path,
            base or self.program,
            self.source,
            self.target,
            new_tensors=self.result.new_tensors if base is not None else (),
            base=self.program,
            input_names=self.naming.inputs,
            dtype=self.options.dtype,
            tolerance=self.options.tolerance,
        )

    def _diverges(
        self, lowered: Lowered, recipes: Sequence[NewTensor], failed: CaseCheck, report: CheckReport
    ) -> Divergence | None:
        try:
            return first_divergence(
                self.path,
                lowered,
                self.source,
                failed,
                report.tolerance,
                provider=report.provider,
                new_tensors=recipes,
                base=self.program,
                input_names=self.naming.inputs,
            )
        except (ChildDied, ChildError) as error:
            self.notes.append(f"where it starts to differ could not be looked for: {error.message}")
            return None

    def _large(self, lowered: Lowered, dtype: str) -> Mapping[str, float]:
        """Values that do not fit `dtype`; none are known where nothing is to be run, or it cannot."""
        if not self.options.check:
            return {}
        recipes = (*self.result.new_tensors, *lowered.new_tensors)
        with self.clock("ranges"):
            try:
                return overflows(lowered, self.source, dtype, self.path, new_tensors=recipes, base=self.program)
            except (ChildDied, ChildError) as error:
                self.notes.append(f"values that do not fit {dtype} could not be looked for: {error.message}")
                return {}

    def _verdict(self, report: CheckReport, divergence: Divergence | None) -> CheckRow:
        row = report.row(str(divergence) if divergence is not None else "")
        if row.ok or self.options.force:
            return row
        why = "; ".join([row.diverges or row.why or _verdict(row), *self.notes, *self.kernels])
        what = "cannot be used" if report.broken else "does not compute what PyTorch does"
        raise ExportError(
            f"{self.path.name} of {self.program.name} {what}: {why}",
            hint="nothing was written; --force keeps it",
        )


def _for_dtype(target: Target, notes: tuple[str, ...], dtype: str) -> tuple[Target, tuple[str, ...]]:
    """`target` without operators of com.microsoft where they do not take `dtype`."""
    if dtype != "float64" or not target.kernels:
        return target, notes
    plain = replace(target, kernels=frozenset(), passes=())
    return plain, (*notes, f"operators of {CONTRIB} are not used: none takes {dtype}")


def _unchecked(target: Target) -> CheckReport:
    return CheckReport(False, "--no-check", target.provider or ANY_PROVIDER, "", 0.0, None)


def _provenance(origin: str, made: _Making, check: CheckRow) -> dict[str, str]:
    """What metadata_props say of a model: where it comes from, what was done to it, by what, and how far it is off."""
    program, options = made.program, made.options
    said = {
        "graphlab.source": origin,
        "graphlab.passes": "; ".join(made.result.program.history) or "none",
        "graphlab.target": options.target.name,
        "graphlab.weights": made.source.spec,
        "graphlab.dtype": options.dtype or main_dtype(program),
        "graphlab.verification": _verdict(check),
        "graphlab.versions": ", ".join(
            [
                *(f"{name} {version(name)}" for name in ("graphlab", "torch", "onnx", "onnxscript")),
                *(f"{name} {number}" for name, number in installed_runtimes().items()),
            ]
        ),
    }
    holds = size_limits(program, made.naming.axes)
    if holds:
        said["graphlab.holds"] = "; ".join(holds)
    if check.error is not None:
        said["graphlab.verification_error"] = repr(check.error)
    return said


def _verdict(check: CheckRow) -> str:
    if not check.checked:
        return f"not compared: {check.why}"
    verdict = "within" if check.ok else "ABOVE"
    return f"{check.provider} against PyTorch: error {check.error:.3g}, {verdict} the tolerance {check.tolerance:g}"
