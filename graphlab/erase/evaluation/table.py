"""An evaluation as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphlab.erase.evaluation.plan import Group
from graphlab.erase.evaluation.result import Evaluation, Judged, Mean
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.distance import Distance


def markdown(found: Evaluation) -> str:
    """The tables of an evaluation: shares in %, with 95 % intervals in brackets and the number of images."""
    gone = " and ".join((found.concept, *found.also))
    parts = [f"# {found.concept!r} of the {found.world} world, erased: {gone}"]
    for before, after in zip(found.before, found.after, strict=True):
        parts += [f"## Judge: {before.judge}", _table(("what", "images", "before", "after"), _rows(before, after))]
        parts += [_table(("drawn instead", "images", "before", "after"), _replaced(before, after))]
    parts += ["## Without a judge", _table(("structure kept", "images", "correlation"), _structure(found.structure))]
    if found.distance is not None:
        parts.append(_table(("kernel distance", "made", "real", "KID"), _distance(found)))
    parts.append(_table(("drift under", "log SNR", "latents", "mean squared change of noise"), _drift(found)))
    return "\n\n".join(parts) + "\n"


def _rows(before: Judged, after: Judged) -> Iterable[tuple[str, ...]]:
    for group, share in before.erased.items():
        yield _pair(f"Acc_e, {group} phrases", share, after.erased[group])
        yield _pair(f"valid, {group} phrases", before.valid[group], after.valid[group])
    yield _pair("Acc_p", before.acc_p, after.acc_p)
    (worst_before, one), (worst_after, other) = before.worst, after.worst
    yield ("worst kept class", str(other.count), f"{worst_before}: {_share(one)}", f"{worst_after}: {_share(other)}")
    for name, share in before.kept.items():
        yield _pair(f"Acc_p of {name}", share, after.kept[name])
    for group in before.erased:
        yield (f"H_c, {group} phrases", "", f"{before.harmonic(group):.3f}", f"{after.harmonic(group):.3f}")
    for attribute, shares in before.others.items():
        for group, share in shares.items():
            yield _pair(f"{attribute} as asked for, {group}", share, after.others[attribute][group])


def _replaced(before: Judged, after: Judged) -> Iterable[tuple[str, ...]]:
    for group, shares in after.replaced.items():
        old = before.replaced[group]
        for name in sorted({*shares, *old}):
            count = next(iter(shares.values())).count
            pair = (side.get(name, Share(0, count)) for side in (old, shares))
            yield (f"{name}, {group} phrases", str(count), *map(_share, pair))


def _structure(found: Mapping[Group, Mean]) -> Iterable[tuple[str, ...]]:
    for group, mean in found.items():
        note = f", {mean.left_out} flat left out" if mean.left_out else ""
        yield (group, f"{mean.count}{note}", f"{mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}]")


def _distance(found: Evaluation) -> Iterable[tuple[str, ...]]:
    known = found.distance
    assert known is not None
    for name, value in (("before", known.before), ("after", known.after), ("real against real", known.floor)):
        made = "" if name.startswith("real") else str(known.made)
        yield (name, made, str(known.real), _interval(value))


def _drift(found: Evaluation) -> Iterable[tuple[str, ...]]:
    for text, bins in found.drift.items():
        for part in bins:
            yield (text, f"{part.low:g} to {part.high:g}", str(part.count), f"{part.drift:.3g}")


def _pair(name: str, before: Share, after: Share) -> tuple[str, ...]:
    return (name, str(after.count), _share(before), _share(after))


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{100 * share.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _interval(value: Distance) -> str:
    return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
