"""An evaluation as a flat row."""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.erase.evaluation.plan import Group
from graphlab.erase.evaluation.result import Evaluation, Judged, Mean
from graphlab.erase.metrics.accuracy import Share

Row = dict[str, object]


def row_of(found: Evaluation) -> Row:
    """Everything a table needs: the judge that things are tuned with under `cnn_`, the other under `report_`."""
    row: Row = {"concept": found.concept}
    for before, after in zip(found.before, found.after, strict=True):
        row |= {f"{_prefix(before.judge)}_{name}": value for name, value in _judged(before, after).items()}
    for group, name in (("trained", "structure"), ("kept", "structure_of_kept")):
        row |= _mean(name, found.structure[_group(group)])
    if found.distance is not None:
        for name in ("before", "after", "floor"):
            value = getattr(found.distance, name)
            row[f"kid_{name}"] = f"{value.value:.6g}"
            row |= {f"kid_{name}_low": f"{value.low:.6g}", f"kid_{name}_high": f"{value.high:.6g}"}
        row |= {"kid_made": found.distance.made, "kid_real": found.distance.real}
    for text, bins in found.drift.items():
        row[f"drift_{text}"] = " ".join(f"{part.low:g}:{part.drift:.4g}" for part in bins)
    return row


def short_row_of(concept: str, before: Mapping[str, Judged], after: Mapping[str, Share], structure: Mean) -> Row:
    """A row of a checkpoint of which the concept alone was drawn: Acc_e by judge and structure kept."""
    row: Row = {"concept": concept}
    for judge, share in after.items():
        prefix = _prefix(judge)
        row |= {f"{prefix}_{name}": value for name, value in _of_base(before[judge]).items()}
        row |= {f"{prefix}_acc_e": _value(share.value), f"{prefix}_acc_e_images": share.count}
    return row | _mean("structure", structure)


def _prefix(judge: str) -> str:
    return "cnn" if judge == "cnn" else "report"


def _mean(name: str, mean: Mean) -> Row:
    values = {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    return {**{key: f"{value:.6f}" for key, value in values.items()}, f"{name}_images": mean.count}


def _of_base(before: Judged) -> Row:
    return {
        "acc_e_before": _value(before.erased["trained"].value),
        "acc_p_before": _value(before.acc_p.value),
        "worst_before": _value(before.worst[1].value),
    }


def _judged(before: Judged, after: Judged) -> Row:
    worst, share = after.worst
    row: Row = {
        **_of_base(before),
        "acc_p": _value(after.acc_p.value),
        "acc_p_images": after.acc_p.count,
        "worst": _value(share.value),
        "worst_class": worst,
        "worst_images": share.count,
        "by_class": " ".join(f"{name}:{kept.value:.4f}" for name, kept in after.kept.items()),
    }
    for group, erased in after.erased.items():
        suffix = "" if group == "trained" else f"_{group}"
        row[f"acc_e{suffix}"] = _value(erased.value)
        row[f"acc_e{suffix}_images"] = erased.count
        row[f"valid{suffix}"] = _value(after.valid[group].value)
        row[f"h_c{suffix}"] = _value(after.harmonic(group))
        row[f"replaced{suffix}"] = " ".join(f"{name}:{part.value:.4f}" for name, part in after.replaced[group].items())
    for attribute, shares in after.others.items():
        row[f"{attribute}_of_erased"] = _value(shares["trained"].value)
        row[f"{attribute}_of_kept"] = _value(shares["kept"].value)
    return row


def _group(name: str) -> Group:
    return "trained" if name == "trained" else "kept"


def _value(share: float) -> str:
    return f"{share:.6f}"
