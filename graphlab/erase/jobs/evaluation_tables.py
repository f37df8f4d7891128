"""Evaluations as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphlab.erase.evaluation.result import Evaluation, Judged, Mean
from graphlab.erase.jobs.evaluate import BaseReport
from graphlab.erase.jobs.evaluate_pipeline import PairReport
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.drift import DriftBin
from graphlab.report.tables import Column, Table

_HEADS = (Column("what", number=False), *map(Column, ("images", "before", "after")))


def report_tables(report: BaseReport | PairReport) -> Iterator[Table]:
    """All tables of a report but that of changed weights."""
    if isinstance(report, PairReport):
        yield from _of_pipeline(report)
        return
    for found in report.evaluations:
        for before, after in zip(found.before, found.after, strict=True):
            note = "shares of images with 95 % intervals; H_c = 2 / (1 / (1 - Acc_e) + 1 / Acc_p)"
            yield Table(f"{found.concept}, judged by {before.judge}", _HEADS, tuple(_rows(before, after)), note=note)
            yield Table(f"Drawn instead of {found.concept}, by {before.judge}", _HEADS, tuple(_replaced(before, after)))
        yield from _without_judge(found)


def _rows(before: Judged, after: Judged) -> Iterator[tuple[str, ...]]:
    for group in before.erased:
        yield _pair(f"Acc_e, {group} phrases", before.erased[group], after.erased[group])
        yield _pair(f"anything, {group} phrases", before.valid[group], after.valid[group])
    yield _pair("Acc_p", before.acc_p, after.acc_p)
    (name, share), (other, new) = before.worst, after.worst
    yield ("worst kept class", str(new.count), f"{name}: {_share(share)}", f"{other}: {_share(new)}")
    for name in before.kept:
        yield _pair(f"Acc_p of {name}", before.kept[name], after.kept[name])
    for group in before.erased:
        yield (f"H_c, {group} phrases", "", f"{before.harmonic(group):.3f}", f"{after.harmonic(group):.3f}")
    for attribute, shares in before.others.items():
        for group, share in shares.items():
            yield _pair(f"{attribute} as asked, {group}", share, after.others[attribute][group])


def _replaced(before: Judged, after: Judged) -> Iterator[tuple[str, ...]]:
    for group, shares in after.replaced.items():
        old, count = before.replaced[group], after.erased[group].count
        for name in sorted({*shares, *old}):
            pair = (side.get(name, Share(0, count)) for side in (old, shares))
            yield _pair(f"{name}, {group} phrases", *pair)


def _without_judge(found: Evaluation) -> Iterator[Table]:
    heads = (Column("what", number=False), Column("images"), Column("value"), Column("95 % interval"))
    rows = [
        (f"structure kept, {group}", _count(mean), f"{mean.value:.3f}", f"{mean.low:.3f} to {mean.high:.3f}")
        for group, mean in found.structure.items()
    ]
    if found.distance is not None:
        named = {
            "kernel distance before": found.distance.before,
            "kernel distance after": found.distance.after,
            "kernel distance of real images": found.distance.floor,
        }
        rows += [
            (name, str(found.distance.made), f"{part.value:.4g}", f"{part.low:.4g} to {part.high:.4g}")
            for name, part in named.items()
        ]
    yield Table(f"{found.concept}, without a judge", heads, tuple(rows))
    yield _drift(found.drift)


def _count(mean: Mean) -> str:
    return f"{mean.count}, {mean.left_out} flat left out" if mean.left_out else str(mean.count)


def _of_pipeline(report: PairReport) -> Iterator[Table]:
    yield _drift(report.drift)
    heads = (Column("prompts", number=False), Column("figure", number=False), Column("value"))
    rows = [
        (group, "structure kept", "-" if value is None else f"{value:.3f}") for group, value in report.structure.items()
    ]
    for judge, groups in report.judged.items():
        for group, figures in groups.items():
            rows += [(group, f"{judge}: {name}", f"{value:.6g}") for name, value in figures.items()]
    yield Table("Images of both models", heads, tuple(rows))


def _drift(found: Mapping[str, Iterable[DriftBin]]) -> Table:
    heads = (Column("under", number=False), *map(Column, ("log SNR", "latents", "mean squared change of noise")))
    rows = tuple(
        (text, f"{part.low:g} to {part.high:g}", str(part.count), f"{part.drift:.3g}")
        for text, bins in found.items()
        for part in bins
    )
    return Table("Drift of predictions", heads, rows, note="0: unchanged; 1: as much as the noise itself")


def _pair(name: str, before: Share, after: Share) -> tuple[str, ...]:
    return (name, str(after.count), _share(before), _share(after))


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%})"
