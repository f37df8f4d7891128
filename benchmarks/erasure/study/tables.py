"""Tables of the study, as Markdown, from rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.erasure.study.claims import Claim, endpoints
from benchmarks.erasure.study.endpoint import AT, Endpoint, score
from graphlab.erase.metrics.significance import paired

Row = Mapping[str, str]


def tuning(rows: Sequence[Row]) -> str:
    """What each learning rate came to on the concept that is tuned on, by the CNN; empty without such runs."""
    by_run: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        if row["stage"] == "tune":
            by_run.setdefault((row["method"], float(row["rate"])), []).append(row)
    grid = sorted({rate for _, rate in by_run})
    lines = []
    for method in dict.fromkeys(method for method, _ in by_run):
        cells = [_scored(by_run[method, rate]) if (method, rate) in by_run else "" for rate in grid]
        lines.append((method, *cells))
    return _table(("structure + worst Acc_p at the endpoint", *(f"{rate:g}" for rate in grid)), lines) if lines else ""


def _scored(rows: Sequence[Row]) -> str:
    reached, value = score(rows)
    return f"{value:.3f}" if reached else f"none: Acc_e {-value:.3f}"


def rates(rows: Sequence[Row]) -> str:
    """Rates that reports used, by method, and the share of all weights that its masks let change."""
    used = {row["method"]: row["rate"] for row in rows if row["stage"] != "tune" and row["rate"]}
    masks: dict[str, dict[tuple[str, str], Row]] = {}
    for row in rows:
        if row["stage"] == "report" and row.get("density"):
            masks.setdefault(row["method"], {})[row["concept"], row["seed"]] = row
    lines = [(method, rate, *_mask(list(masks.get(method, {}).values()))) for method, rate in sorted(used.items())]
    return _table(("method", "learning rate", "density of its masks", "samples with gradient for one"), lines)


def _mask(runs: Sequence[Row]) -> tuple[str, str]:
    if not runs:
        return "", ""
    return _mean([float(row["density"]) for row in runs]), runs[0]["mask_evaluations"]


def at_endpoint(rows: Sequence[Row]) -> str:
    """Structure and worst Acc_p at Acc_e = AT, by method and concept, means over seeds with t intervals."""
    found = endpoints(rows)
    pairs = list(dict.fromkeys((method, concept) for method, concept, _ in found))
    lines = []
    for method, concept in pairs:
        here = [value for (one, other, _), value in found.items() if (one, other) == (method, concept)]
        reached = [value for value in here if value is not None]
        lines.append((method, concept, f"{len(reached)} of {len(here)}", *_of(reached)))
    head = ("method", "concept", f"runs that reach Acc_e = {AT:g}", "structure kept there", "worst Acc_p there")
    return _table(head, lines)


def _of(reached: Sequence[Endpoint]) -> tuple[str, str]:
    return _mean([value.structure for value in reached]), _mean([value.worst for value in reached])


def at_end(rows: Sequence[Row]) -> str:
    """What the last checkpoint is like, by method and concept: the judge that reports."""
    ends = _last(row for row in rows if row["stage"] == "report")
    names = ("acc_e", "acc_e_unseen", "valid", "acc_p", "worst", "h_c")
    head = ("method", "concept", "Acc_e", "Acc_e, unseen phrases", "valid", "Acc_p", "worst Acc_p", "H_c", "structure")
    extra = [name for name in ("layout", "palette") if f"report_{name}_of_kept" in rows[0]]
    lines = []
    for key in dict.fromkeys((row["method"], row["concept"]) for row in ends):
        here = [row for row in ends if (row["method"], row["concept"]) == key]
        values = [_mean([float(row[f"report_{name}"]) for row in here]) for name in names]
        values.append(_mean([float(row["structure"]) for row in here]))
        values += [_mean([float(row[f"report_{name}_of_erased"]) for row in here]) for name in extra]
        values += [_mean([float(row[f"kid_{when}"]) for row in here], digits=0) for when in ("after", "before")]
        lines.append((*key, *values))
    return _table((*head, *(f"{name} of the erased" for name in extra), "KID of kept", "of the base"), lines)


def moved(rows: Sequence[Row]) -> str:
    """What the last checkpoint draws instead, and how far its noise predictions moved by log SNR: means over seeds."""
    ends = _last(row for row in rows if row["stage"] == "report")
    lines: list[tuple[str, ...]] = []
    edges = list(_bins(ends[0]["drift_concept"])) if ends else []
    for key in dict.fromkeys((row["method"], row["concept"]) for row in ends):
        here = [row for row in ends if (row["method"], row["concept"]) == key]
        drifts = [
            " ".join(f"{_plain_mean([_bins(row[name])[edge] for row in here]):.3f}" for edge in edges)
            for name in ("drift_concept", "drift_kept", "drift_empty")
        ]
        lines.append((*key, _instead(here), *drifts))
    bins = f"by log SNR from {', '.join(f'{edge:g}' for edge in edges)}"
    head = ("method", "concept", "drawn instead", f"drift, concept, {bins}", "drift, kept", "drift, empty prompt")
    return _table(head, lines) if lines else ""


def _instead(rows: Sequence[Row]) -> str:
    """The three classes that judges see most where the concept was asked for, with shares."""
    found = [_words(row["report_replaced"]) for row in rows]
    means = {name: _plain_mean([part.get(name, 0.0) for part in found]) for part in found for name in part}
    most = sorted(means.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{name} {value:.2f}" for name, value in most)


def _words(text: str) -> dict[str, float]:
    """ "three:0.5 zero:0.25" as a table."""
    pairs = (word.rsplit(":", 1) for word in text.split())
    return {name: float(value) for name, value in pairs}


def _bins(text: str) -> dict[float, float]:
    return {float(low): value for low, value in _words(text).items()}


def _plain_mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _last(rows: Iterable[Row]) -> list[Row]:
    """The last checkpoint of every run."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        found[row["method"], row["concept"], row["seed"], row["rate"]] = row
    return list(found.values())


def several(rows: Sequence[Row]) -> str:
    """Three concepts at once: each of them, at the last checkpoint."""
    here = [row for row in rows if row["stage"] == "several"]
    lines = []
    for method, concept in dict.fromkeys((row["method"], row["concept"]) for row in here):
        part = [row for row in here if (row["method"], row["concept"]) == (method, concept)]
        names = ("report_acc_e", "report_acc_e_unseen", "report_acc_p", "report_worst", "structure")
        lines.append((method, concept, *(_mean([float(row[name]) for row in part]) for name in names)))
    head = ("several at once", "concept", "Acc_e", "Acc_e, unseen phrases", "Acc_p", "worst Acc_p", "structure")
    return _table(head, lines)


def attacks(rows: Sequence[Row]) -> str:
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        here = [row for row in rows if row["method"] == method]
        steps = ", ".join(row["relearnt_after"] or "never" for row in here)
        lines.append((method, steps, _mean([float(row["inverted"]) for row in here])))
    return _table(("method", "steps until relearnt, by seed", "Acc_e under the inverted embedding"), lines)


def of_claims(found: Sequence[Claim]) -> str:
    lines = []
    for claim in found:
        what = (claim.part, f"{claim.first} - {claim.second}", claim.quantity)
        if claim.found is None:
            few = f"{claim.both} of {claim.pairs} pairs: too few" if claim.pairs else "not run"
            lines.append((*what, few, "", "no"))
            continue
        value = claim.found
        numbers = f"{value.mean:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"
        lines.append((*what, f"{numbers}, {value.pairs} of {claim.pairs} pairs", f"{value.p:.2g}", _yes(claim.holds)))
    return _table(("part", "difference", "of", "mean and 95 % interval", "p", "claimed, after Holm"), lines)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _mean(values: Sequence[float], digits: int = 3) -> str:
    """Mean and t interval over seeds; with fewer than three, the values."""
    if len(values) < 3:
        return ", ".join(f"{value:.{digits}f}" for value in values) or "none"
    found = paired(values, [0.0] * len(values))
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
