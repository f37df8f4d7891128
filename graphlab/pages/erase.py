"""The pages of `graphlab erase evaluate` and `graphlab erase demo`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphlab.erase.evaluation.result import Judged
from graphlab.erase.jobs.demo_report import DemoReport
from graphlab.erase.jobs.evaluate import BaseReport
from graphlab.erase.jobs.evaluate_pipeline import PairReport
from graphlab.erase.jobs.evaluation_report import EvaluationReport
from graphlab.erase.jobs.evaluation_tables import report_tables
from graphlab.erase.jobs.pictures import COLUMNS
from graphlab.erase.jobs.tables import changed_role_table, demo_table
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.drift import DriftBin
from graphlab.figures.charts import COLOURS, nominal, picks, quantity, tooltip
from graphlab.pages.pixels import png
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.html import Document, Picture, Section, plain, plains

if TYPE_CHECKING:
    import torch

LEAST_WIDTH = 640
"""Pixels that a grid of images is enlarged to, where it is narrower."""

SHARE_COLUMNS = (
    Column("judge", "judge"),
    Column("what", "what"),
    Column("images", "images"),
    Column("before_share", "before"),
    Column("before_share_low", "at least", help="of the 95 % interval before"),
    Column("before_share_high", "at most", help="of the 95 % interval before"),
    Column("after_share", "after"),
    Column("after_share_low", "at least", help="of the 95 % interval after"),
    Column("after_share_high", "at most", help="of the 95 % interval after"),
)
DRIFT_COLUMNS = (
    Column("under", "prompts"),
    Column("low", "log SNR from"),
    Column("high", "log SNR to"),
    Column("count", "latents"),
    Column("drift", "mean squared change of noise", help="0: unchanged; 1: as much as the noise itself"),
)


def evaluation_document(report: EvaluationReport) -> Document:
    """What is left of the concept, what else was lost, how predictions moved, and which weights changed."""
    found, lines = report.found, []
    if found.outside is not None:
        verdict = "Every change lies in the mask" if not found.outside else "NOT all changes lie in the mask"
        lines.append(f"{verdict}: {found.outside:,} entries changed outside of it.")
    sections = _of_pair(found) if isinstance(found, PairReport) else _of_base(found)
    return Document(
        title=f"Evaluation of {report.erased}",
        subtitle=(f"before: {report.source}", f"after: {report.erased}"),
        sections=(
            *([Section("Images", (report.no_pictures,))] if report.no_pictures else []),
            *sections,
            Section("Tables", tables=plains(report_tables(found))),
            Section("Weights", tuple(lines), tables=(plain(changed_role_table(report.roles)),)),
        ),
    )


def _of_base(found: BaseReport) -> Iterator[Section]:
    for part in found.evaluations:
        shares = shares_figure(part.concept, part.before, part.after)
        drift = drift_figure(f"{part.concept}-drift", f"{part.concept}: drift of predictions", part.drift)
        pixels = found.pictures.get(part.concept)
        pictures = () if pixels is None else (_grid(pixels, _rows(part.concept, part.before)),)
        yield Section(f"{part.concept}: before and after", pictures=pictures, figures=(shares, drift))


def _of_pair(found: PairReport) -> Iterator[Section]:
    for group, pixels in found.pictures.items():
        prompts = "; ".join(found.prompts.get(group, ())) or "no prompts"
        rows = f"images of the prompts ({prompts}), a row before and a row after"
        yield Section(f"{group}: before and after", pictures=(_grid(pixels, rows),))
    yield Section("Drift", figures=(drift_figure("drift", "Drift of predictions", found.drift),))


def demo_document(made: DemoReport) -> Document:
    """The same images before and after, what the judges say, and what became of the weights."""
    entries, changed = (sum(getattr(row, name) for row in made.roles) for name in ("entries", "changed"))
    return Document(
        title=f"{made.concept} erased",
        sections=(
            Section(
                "Before and after",
                pictures=(_grid(made.picture, _rows(made.concept, made.before)),),
                tables=(plain(demo_table(made)),),
                figures=(shares_figure(made.concept, made.before, made.after),),
            ),
            Section(
                "Weights",
                (
                    f"{made.free:,} of {entries:,} entries may change; {changed:,} did.",
                    f"{made.changed_outside_mask:,} entries changed outside the mask.",
                ),
                tables=(plain(changed_role_table(made.roles)),),
            ),
        ),
    )


def _rows(concept: str, before: Sequence[Judged]) -> str:
    """What `before_after` shows of images that were judged like this."""
    shown = f"a row of {concept!r} before and one after"
    if not before or before[0].acc_p.count < min(COLUMNS, before[0].erased["trained"].count):
        return shown
    return f"{shown}, then a row of other classes before and one after"


def _grid(pixels: torch.Tensor, rows: str) -> Picture:
    """A picture of images, whole pixels several times as large: those of the small worlds have few."""
    height, width = pixels.shape[:2]
    factor = max(1, LEAST_WIDTH // width)
    large = pixels.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
    alt = f"Grid of images, {width} x {height} pixels: {rows}; the images of a column start from one noise."
    return Picture("The same images before and after", png(large), alt, alt)


def shares_figure(concept: str, before: Sequence[Judged], after: Sequence[Judged]) -> Figure:
    """Shares of images before and after, with their 95 % intervals, a row each thing a judge was asked."""
    rows = [row for pair in zip(before, after, strict=True) for row in _judged(concept, *pair)]
    return Figure(
        name=f"{concept}-shares",
        title=f"{concept}: what the judges see",
        caption="Shares of images: empty marks before, full ones after, with the 95 % interval after.",
        columns=SHARE_COLUMNS,
        rows=tuple(rows),
        chart=_shares(len(rows)) if rows else None,
    )


def _judged(concept: str, before: Judged, after: Judged) -> Iterator[dict[str, Value]]:
    pairs: list[tuple[str, Share, Share]] = []
    for group in before.erased:
        pairs.append((f"shows {concept}, {group} phrases", before.erased[group], after.erased[group]))
        pairs.append((f"shows anything, {group} phrases", before.valid[group], after.valid[group]))
    pairs.append(("others, as asked for", before.acc_p, after.acc_p))
    pairs += [(f"{name}, as asked for", share, after.kept[name]) for name, share in before.kept.items()]
    for what, old, new in pairs:
        ends = {"before_share": old, "after_share": new}
        row: dict[str, Value] = {"judge": before.judge, "what": what, "images": new.count}
        for key, share in ends.items():
            row |= {key: share.value, f"{key}_low": share.interval[0], f"{key}_high": share.interval[1]}
        yield row


def _shares(count: int) -> dict[str, Any]:
    x: Any = {
        "type": "quantitative",
        "title": "share of images",
        "axis": {"format": "%"},
        "scale": {"domain": [0, 1]},
    }
    y, lines = nominal("row"), tooltip(SHARE_COLUMNS, "judge", "what", "images", "before_share", "after_share")
    points = [
        {
            "mark": {"type": "point", "filled": key == "after_share", "size": 70, "color": COLOURS[0]},
            "encoding": {"x": {**x, "field": key}, "y": y, "tooltip": lines},
        }
        for key in ("before_share", "after_share")
    ]
    interval = {
        "mark": {"type": "rule", "color": COLOURS[0], "strokeWidth": 2},
        "encoding": {"x": {**x, "field": "after_share_low"}, "x2": {"field": "after_share_high"}, "y": y},
    }
    return {
        "description": "Marks, a row a question: shares of images before and after, with intervals.",
        "transform": [{"calculate": "datum.judge + ': ' + datum.what", "as": "row"}],
        "height": 20 * count,
        "layer": [interval, *points],
    }


def drift_figure(name: str, title: str, drift: Mapping[str, tuple[DriftBin, ...]]) -> Figure:
    """How far predictions moved, by noise level and prompts."""
    rows: tuple[dict[str, Value], ...] = tuple(
        {"under": text, "low": part.low, "high": part.high, "count": part.count, "drift": part.drift}
        for text, bins in drift.items()
        for part in bins
    )
    x = quantity("low", "log SNR", format="d")
    return Figure(
        name=name,
        title=title,
        caption="Mean squared change of the predicted noise, by noise level; low log SNR is much noise.",
        columns=DRIFT_COLUMNS,
        rows=rows,
        chart={
            "description": "Lines: drift over log SNR, a line a kind of prompts.",
            "params": picks("under"),
            "mark": {"type": "line", "interpolate": "step-after", "point": True},
            "height": 240,
            "encoding": {
                "x": x,
                "y": quantity("drift", "mean squared change", format=".2~g"),
                "color": {"field": "under", "type": "nominal", "title": "prompts", "scale": {"range": list(COLOURS)}},
                "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.12},
                "tooltip": tooltip(DRIFT_COLUMNS, "under", "low", "high", "drift"),
            },
        }
        if rows
        else None,
    )
