"""One program to one checked model on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from graphlab.exporting.checking.check import check_model
from graphlab.exporting.errors import ExportError
from graphlab.exporting.options import ExportOptions, Naming
from graphlab.exporting.ports import ports, rename_ports
from graphlab.exporting.saving import add_metadata, staged, write_model
from graphlab.exporting.targets import CONTRIB
from graphlab.exporting.translate import to_onnx
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.export_data import CheckRow, ModelReport, Phase
from graphlab.rewriting.account import figures, grouped_skips
from graphlab.rewriting.result import RewriteResult
from graphlab.weights.source import WeightSource
from graphlab.weights.values import Values

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
    naming, clock = naming or Naming(), _Clock(dict(before or {}))
    with clock("translate"):
        lowered = to_onnx(result.program, options.target, naming.axes)
        rename_ports(lowered.model, naming)
    values = Values(lowered.program, source, (*result.new_tensors, *lowered.new_tensors), program)
    with staged(path) as folder:
        with clock("write"):
            saved = write_model(lowered, values, folder / path.name)
        with clock("check"):
            check = _check(program, result, source, saved.path, options, naming)
        add_metadata(saved.path, _provenance(origin or program.name, program, result, source, options, check))
        nbytes = sum(item.stat().st_size for item in folder.iterdir())
    facts = Facts(result.program.graph, dict(sizes or result.program.graph.symbols))
    found = figures(facts)
    model = lowered.model
    return ModelReport(
        stage=program.name,
        path=str(path),
        data=str(path.parent / saved.data.name) if saved.data is not None else None,
        nbytes=nbytes,
        weight_bytes=saved.weight_bytes,
        target=options.target.name,
        opset=options.target.opset,
        dtype=options.dtype or _dtype(program),
        weights=source.spec,
        random_weights=source.is_random,
        inputs=ports(model.graph.inputs),
        outputs=ports(model.graph.outputs),
        nodes=len(model.graph),
        operators=lowered.operators,
        attention_sites=found.attention_fused + found.attention_spelled,
        attention_fused=sum(count for name, count in lowered.operators.items() if name in _ATTENTIONS),
        islands=(),
        check=check,
        phases=tuple(Phase(name, seconds) for name, seconds in clock.phases.items()),
        skips=grouped_skips((*result.skips, *lowered.skips)),
        notes=(*program.notes, *source.notes, *notes),
    )


def _check(
    program: Program,
    result: RewriteResult,
    source: WeightSource,
    path: Path,
    options: ExportOptions,
    naming: Naming,
) -> CheckRow:
    if not options.check:
        return CheckRow(False, True, "--no-check", "", 0.0, None, ())
    reference = result.base or program
    found = check_model(
        path,
        reference,
        source,
        options.target,
        new_tensors=result.new_tensors if result.base is not None else (),
        base=program,
        input_names=naming.inputs,
        dtype=options.dtype,
        tolerance=options.tolerance,
    ).row()
    if found.ok or options.force:
        return found
    raise ExportError(
        f"{path.name} differs from PyTorch: {found.why or _verdict(found)}",
        hint="nothing was written; --force keeps it",
    )


def _dtype(program: Program) -> str:
    """The dtype of most floating weights, of inputs where there are none."""
    held = [node.out for node in program.graph.weights] or [node.out for node in program.graph.inputs]
    counts: dict[str, int] = {}
    for spec in held:
        if "float" in spec.dtype:
            counts[spec.dtype] = counts.get(spec.dtype, 0) + int(spec.numel)
    return max(counts, key=lambda name: counts[name], default="float32")


def _provenance(
    origin: str, program: Program, result: RewriteResult, source: WeightSource, options: ExportOptions, check: CheckRow
) -> dict[str, str]:
    """What metadata_props say of a model: where it comes from, what was done to it, by what, and how far it is off."""
    said = {
        "graphlab.source": origin,
        "graphlab.passes": "; ".join(result.program.history) or "none",
        "graphlab.target": options.target.name,
        "graphlab.weights": source.spec,
        "graphlab.dtype": options.dtype or _dtype(program),
        "graphlab.verification": _verdict(check),
        "graphlab.versions": ", ".join(
            f"{name} {version(name)}" for name in ("graphlab", "torch", "onnx", "onnxscript")
        ),
    }
    if check.error is not None:
        said["graphlab.verification_error"] = repr(check.error)
    return said


def _verdict(check: CheckRow) -> str:
    if not check.checked:
        return f"not compared: {check.why}"
    verdict = "within" if check.ok else "ABOVE"
    return f"{check.provider} against PyTorch: error {check.error:.3g}, {verdict} the tolerance {check.tolerance:g}"
