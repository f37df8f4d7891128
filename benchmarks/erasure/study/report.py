"""The tables of the study, as Markdown, from its CSV files alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.erasure.study.claims import Claim, claims, endpoints
from benchmarks.erasure.study.endpoint import AT, Endpoint
from benchmarks.erasure.study.runs import PARTS
from benchmarks.erasure.study.store import read
from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.significance import paired

Row = Mapping[str, str]


def report(folder: Path) -> str:
    """All tables of the parts that are there; EraseError for a folder without any."""
    known = {part: read(folder / f"{part}.csv") for part in PARTS if (folder / f"{part}.csv").exists()}
    known = {part: rows for part, rows in known.items() if rows}
    if not known:
        raise EraseError(f"{folder} holds no rows", hint="run a part first")
    blocks = []
    compared: dict[str, list[dict[str, str]]] = {}
    for part, rows in known.items():
        blocks.append(f"### {part}")
        if part == "attacks":
            blocks.append(_attacks(rows))
            continue
        compared[part] = rows
        blocks += [_rates(rows), _endpoints(rows), _ends(rows)]
        if any(row["stage"] == "several" for row in rows):
            blocks.append(_several(rows))
    if compared:
        blocks += ["### Claims", _claims(claims(compared))]
    return "\n\n".join(blocks) + "\n"


def _rates(rows: Sequence[Row]) -> str:
    """Rates that reports used, by method."""
    used = {row["method"]: row["rate"] for row in rows if row["stage"] != "tune" and row["rate"]}
    return _table(("method", "learning rate"), sorted(used.items()))


def _endpoints(rows: Sequence[Row]) -> str:
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


def _ends(rows: Sequence[Row]) -> str:
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
        values.append(_mean([float(row["kid_after"]) for row in here]))
        lines.append((*key, *values))
    return _table((*head, *(f"{name} of the erased" for name in extra), "KID of kept"), lines)


def _last(rows: Iterable[Row]) -> list[Row]:
    """The last checkpoint of every run."""
    found: dict[tuple[str, ...], Row] = {}
    for row in rows:
        found[row["method"], row["concept"], row["seed"], row["rate"]] = row
    return list(found.values())


def _several(rows: Sequence[Row]) -> str:
    """Three concepts at once: each of them, at the last checkpoint."""
    here = [row for row in rows if row["stage"] == "several"]
    lines = []
    for method, concept in dict.fromkeys((row["method"], row["concept"]) for row in here):
        part = [row for row in here if (row["method"], row["concept"]) == (method, concept)]
        names = ("report_acc_e", "report_acc_e_unseen", "report_acc_p", "report_worst", "structure")
        lines.append((method, concept, *(_mean([float(row[name]) for row in part]) for name in names)))
    head = ("several at once", "concept", "Acc_e", "Acc_e, unseen phrases", "Acc_p", "worst Acc_p", "structure")
    return _table(head, lines)


def _attacks(rows: Sequence[Row]) -> str:
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        here = [row for row in rows if row["method"] == method]
        steps = ", ".join(row["relearnt_after"] or "never" for row in here)
        lines.append((method, steps, _mean([float(row["inverted"]) for row in here])))
    return _table(("method", "steps until relearnt, by seed", "Acc_e under the inverted embedding"), lines)


def _claims(found: Sequence[Claim]) -> str:
    lines = []
    for claim in found:
        what = (claim.part, f"{claim.first} - {claim.second}", claim.quantity)
        if claim.found is None:
            lines.append((*what, f"too few of {claim.pairs} pairs", "", "no"))
            continue
        value = claim.found
        numbers = f"{value.mean:+.3f} [{value.low:+.3f}, {value.high:+.3f}]"
        lines.append((*what, f"{numbers}, {value.pairs} of {claim.pairs} pairs", f"{value.p:.2g}", _yes(claim.holds)))
    return _table(("part", "difference", "of", "mean and 95 % interval", "p", "claimed, after Holm"), lines)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _mean(values: Sequence[float]) -> str:
    """Mean and t interval over seeds; with fewer than three, the values."""
    if len(values) < 3:
        return ", ".join(f"{value:.3f}" for value in values) or "none"
    found = paired(values, [0.0] * len(values))
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
