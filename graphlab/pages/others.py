"""The pages of `graphlab export`, `mask`, `run` and `explain`: their tables, and the picture where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphlab.masks.placement import Placement, tables, u_shape
from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.onnx_pipeline.run_tables import run_fields, run_table
from graphlab.report.explain import ExplanationReport
from graphlab.report.explain_fields import explain_fields, title_of
from graphlab.report.export_data import ExportReport, ModelReport
from graphlab.report.export_tables import (
    export_fields,
    model_notes,
    models_table,
    operators_table,
    phases_table,
)
from graphlab.report.html import Document, Listing, Picture, PlainTable, Section, plain, plains
from graphlab.report.rewrite_tables import skipped_table


def export_document(report: ExportReport) -> Document:
    """The models with their checks; of each how its attention is written, its islands of float32, what stayed."""
    return Document(
        title=f"Export of {report.workload}",
        subtitle=tuple(f"{name}: {value}" for name, value in export_fields(report)),
        sections=(
            Section("Models", tables=plains((models_table(report), phases_table(report)))),
            *(part for model in report.models for part in _model(model)),
        ),
        assumptions=report.assumptions,
        notes=tuple(f"other file: {name}" for name in report.files),
    )


def _model(model: ModelReport) -> Iterator[Section]:
    fused = f"{model.attention_fused} of {model.attention_sites} attentions are one operator of the model each."
    ports = tuple(
        (kind, port.name, port.dtype, " x ".join(map(str, port.shape)) or "scalar")
        for kind, found in (("input", model.inputs), ("result", model.outputs))
        for port in found
    )
    table = PlainTable(f"{model.stage}: inputs and results", ("kind", "name", "dtype", "shape"), ports)
    yield Section(
        model.stage,
        (fused, *model_notes(model)),
        tables=(
            table,
            *plains((operators_table(model), skipped_table(model.stage, model.skips) if model.skips else None)),
        ),
        listings=(Listing(f"{model.stage}: nodes in float32", model.islands),) if model.islands else (),
    )


def mask_document(found: Placement) -> Document:
    """The picture over the U-Net, then the tables by role, attention, block and layer."""
    return Document(
        title=f"Masks of {found.source}",
        subtitle=(f"stage: {found.stage}", *(f"mask: {mask.file}, {mask.range}" for mask in found.masks)),
        sections=(
            Section("Over the U-Net", figures=(u_shape(found),)),
            *(Section(table.title, tables=(plain(table),)) for table in tables(found)),
        ),
    )


def run_document(report: RunReport, pictures: Sequence[Picture] = (), missing: str = "") -> Document:
    """What ran and how long it took; `pictures` of the result, or why they are `missing`."""
    rows = tuple(run_fields(report))
    versions = PlainTable("Versions", ("package", "version"), tuple(report.versions.items()))
    said = (missing,) if missing else ()
    shown = [Section("Result", said, pictures=tuple(pictures))] if said or pictures else []
    settings = PlainTable("Settings", ("what", "value"), rows)
    return Document(
        title=f"Run of {report.folder}",
        sections=(*shown, Section("Generation", tables=(plain(run_table(report)), settings, versions))),
        notes=report.notes,
    )


def explanation_document(report: ExplanationReport) -> Document:
    """Everything known about one node, a row a fact."""
    table = PlainTable("What is known", ("what", "value"), tuple(explain_fields(report.explanation)))
    head = [f"source: {report.source}", *([f"device: {report.device}"] if report.device is not None else [])]
    return Document(
        title=title_of(report.explanation),
        subtitle=(*head, *(f"{name}: {value:g}" for name, value in report.bindings.items())),
        sections=(Section("Node", tables=(table,)),),
    )
