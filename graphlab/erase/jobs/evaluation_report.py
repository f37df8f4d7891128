"""`EvaluationReport`: an evaluation and what was compared, and what `graphlab erase evaluate --json` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.erase.evaluation.reading import evaluation_of
from graphlab.erase.jobs.comparison import ChangedRole, changed_roles
from graphlab.erase.jobs.evaluate import BaseReport
from graphlab.erase.jobs.evaluate_pipeline import PairConfig, PairReport
from graphlab.erase.jobs.pictures import png_pixels, png_text
from graphlab.erase.metrics.drift import DriftBin
from graphlab.erase.training.strict import read
from graphlab.report.decoding import SIGNED, ReportFileError, decode

BASE, PAIR = "graphlab.erase-evaluation/1", "graphlab.erase-comparison/1"
"""Versions of the JSON layout, of bases and of pipelines; the number grows when a key changes meaning or disappears."""


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What `found` says of `erased`, once `source`, as they were named; `roles` sum up the weights that changed.

    `no_pictures` says why there are none, "" where there are some.
    """

    source: str
    erased: str
    found: BaseReport | PairReport
    roles: tuple[ChangedRole, ...]
    no_pictures: str = ""

    @classmethod
    def of(cls, source: str, erased: str, found: BaseReport | PairReport, no_pictures: str = "") -> EvaluationReport:
        """The report of `found`."""
        return cls(source, erased, found, changed_roles(found.changes), no_pictures)

    def to_dict(self) -> dict[str, Any]:
        """All of it in values that JSON can write; pictures as PNG files in base 64."""
        return {
            "schema": PAIR if isinstance(self.found, PairReport) else BASE,
            "source": self.source,
            "erased": self.erased,
            **self.found.to_dict(),
            "pictures": {name: png_text(pixels) for name, pixels in self.found.pictures.items()},
            "no_pictures": self.no_pictures,
        }


@dataclass(frozen=True, slots=True)
class _Saved:
    """What both kinds of report have, as the JSON has it."""

    source: str
    erased: str
    roles: tuple[ChangedRole, ...]
    changed_outside_mask: int | None
    made: Mapping[str, Any]
    pictures: Mapping[str, str]
    no_pictures: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """What that of a pipeline has besides."""

    drift: Mapping[str, tuple[DriftBin, ...]]
    structure: Annotated[Mapping[str, float | None], SIGNED]
    judged: Annotated[Mapping[str, Mapping[str, Mapping[str, float]]], SIGNED]
    prompts: Mapping[str, tuple[str, ...]]
    config: Any


def base_report_of(data: dict[str, Any]) -> EvaluationReport:
    """What `to_dict` wrote as `data` of a base, without the weights one by one; GraphlabError for anything else."""
    saved, rows = decode(_Saved, data), data.get("evaluations")
    if not isinstance(rows, list):
        raise ReportFileError("evaluations is no list", hint="write the report again with this version of graphlab")
    evaluations = tuple(evaluation_of(item, f"evaluations[{index}]") for index, item in enumerate(rows))
    report = BaseReport(evaluations, (), saved.changed_outside_mask, saved.made, _pixels(saved))
    return EvaluationReport(saved.source, saved.erased, report, saved.roles, saved.no_pictures)


def pair_report_of(data: dict[str, Any]) -> EvaluationReport:
    """What `to_dict` wrote as `data` of a pipeline, without the weights one by one; GraphlabError for anything else."""
    saved, pair = decode(_Saved, data), decode(_Pair, data)
    report = PairReport(
        pair.drift,
        pair.structure,
        pair.judged,
        (),
        saved.changed_outside_mask,
        pair.prompts,
        read(PairConfig, pair.config, "config"),
        saved.made,
        _pixels(saved),
    )
    return EvaluationReport(saved.source, saved.erased, report, saved.roles, saved.no_pictures)


def _pixels(saved: _Saved) -> dict[str, Any]:
    return {name: png_pixels(text) for name, text in saved.pictures.items()}
