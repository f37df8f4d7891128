"""What makes a page of each kind of saved report, by the schema in its JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphlab.catalogue.data import SCHEMA as LISTING
from graphlab.catalogue.reading import listing_of
from graphlab.erase.jobs.demo_report import SCHEMA as ERASE_DEMO
from graphlab.erase.jobs.demo_report import demo_report_of
from graphlab.erase.jobs.evaluation_report import BASE as ERASE_BASE
from graphlab.erase.jobs.evaluation_report import PAIR as ERASE_PAIR
from graphlab.erase.jobs.evaluation_report import base_report_of, pair_report_of
from graphlab.erase.jobs.manifests import (
    FUSE,
    SALIENCY,
    TRAIN,
    fuse_manifest_of,
    saliency_manifest_of,
    train_manifest_of,
)
from graphlab.masks.placement import SCHEMA as MASK
from graphlab.masks.placement_reading import placement_of
from graphlab.onnx_pipeline.run_report import SCHEMA as RUN
from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.pages.analysis import analysis_document
from graphlab.pages.bench import bench_document
from graphlab.pages.diff import diff_document
from graphlab.pages.erase import demo_document, evaluation_document
from graphlab.pages.erase_manifest import fuse_document, saliency_document, train_document
from graphlab.pages.listing import listing_document
from graphlab.pages.others import explanation_document, export_document, mask_document, run_document
from graphlab.pages.profile import profile_document
from graphlab.pages.rewrite import rewrite_document
from graphlab.pages.run_pictures import written_pictures
from graphlab.report.analysis_reading import analysis_report
from graphlab.report.bench_data import SCHEMA as BENCH
from graphlab.report.bench_data import BenchReport
from graphlab.report.characterization_data import SCHEMA as CHARACTERIZATION
from graphlab.report.characterization_data import CharacterizationReport
from graphlab.report.characterization_writers import document as characterization_document
from graphlab.report.chart_reading import check_chart
from graphlab.report.data import SCHEMA as ANALYSIS
from graphlab.report.decoding import decode
from graphlab.report.diff_data import SCHEMA as DIFF
from graphlab.report.diff_data import DiffReport
from graphlab.report.explain import SCHEMA as EXPLANATION
from graphlab.report.explain import ExplanationReport
from graphlab.report.export_data import SCHEMA as EXPORT
from graphlab.report.export_data import ExportReport
from graphlab.report.html import Document
from graphlab.report.older import rewrite_of
from graphlab.report.profile_data import SCHEMA as PROFILE
from graphlab.report.profile_data import ProfileReport
from graphlab.report.rewrite_data import SCHEMA as REWRITE
from graphlab.report.rewrite_data import RewriteReport


@dataclass(frozen=True, slots=True)
class Saved:
    """The JSON of a report, and the folder that the files it names are looked for in."""

    data: dict[str, Any]
    folder: Path


def _analysis(saved: Saved) -> Document:
    return analysis_document(analysis_report(saved.data))


def _explanation(saved: Saved) -> Document:
    return explanation_document(decode(ExplanationReport, saved.data))


def _rewrite(saved: Saved) -> Document:
    return rewrite_document(decode(RewriteReport, rewrite_of(saved.data), names={"pass_name": "pass"}))


def _bench(saved: Saved) -> Document:
    return bench_document(decode(BenchReport, saved.data))


def _profile(saved: Saved) -> Document:
    return profile_document(decode(ProfileReport, saved.data))


def _export(saved: Saved) -> Document:
    return export_document(decode(ExportReport, _with_infinite(saved.data), names={"pass_name": "pass"}))


def _with_infinite(data: dict[str, Any]) -> dict[str, Any]:
    """`data` with infinite errors in place of null, which JSON has for what is not finite."""
    models = data.get("models")
    if not isinstance(models, list):
        return data
    return {**data, "models": [_model(model) for model in models]}


def _model(model: Any) -> Any:
    check = model.get("check") if isinstance(model, dict) else None
    if not isinstance(check, dict) or not isinstance(check.get("bindings"), list):
        return model
    runs = [
        {key: math.inf if value is None else value for key, value in run.items()} if isinstance(run, dict) else run
        for run in check["bindings"]
    ]
    return {**model, "check": {**check, "bindings": runs}}


def _mask(saved: Saved) -> Document:
    return mask_document(placement_of(saved.data))


def _run(saved: Saved) -> Document:
    report = decode(RunReport, saved.data)
    return run_document(report, *written_pictures(report, saved.folder))


def _listing(saved: Saved) -> Document:
    return listing_document(listing_of(saved.data))


def _erase_evaluation(saved: Saved) -> Document:
    return evaluation_document(base_report_of(saved.data))


def _erase_comparison(saved: Saved) -> Document:
    return evaluation_document(pair_report_of(saved.data))


def _erase_demo(saved: Saved) -> Document:
    return demo_document(demo_report_of(saved.data))


def _erase_saliency(saved: Saved) -> Document:
    return saliency_document(saliency_manifest_of(saved.data))


def _erase_train(saved: Saved) -> Document:
    return train_document(train_manifest_of(saved.data))


def _erase_fuse(saved: Saved) -> Document:
    return fuse_document(fuse_manifest_of(saved.data))


def _diff(saved: Saved) -> Document:
    return diff_document(decode(DiffReport, saved.data))


def _characterization(saved: Saved) -> Document:
    report = decode(CharacterizationReport, saved.data)
    for place, figure in enumerate(report.figures):
        check_chart(figure.chart, f"figures[{place}].chart")
    return characterization_document(report)


KINDS: Mapping[str, Callable[[Saved], Document]] = {
    ANALYSIS: _analysis,
    EXPLANATION: _explanation,
    REWRITE: _rewrite,
    BENCH: _bench,
    PROFILE: _profile,
    EXPORT: _export,
    MASK: _mask,
    RUN: _run,
    CHARACTERIZATION: _characterization,
    DIFF: _diff,
    LISTING: _listing,
    ERASE_BASE: _erase_evaluation,
    ERASE_PAIR: _erase_comparison,
    ERASE_DEMO: _erase_demo,
    SALIENCY: _erase_saliency,
    TRAIN: _erase_train,
    FUSE: _erase_fuse,
}
"""{schema: what makes a page of a report of it}."""
