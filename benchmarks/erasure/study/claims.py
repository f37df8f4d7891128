"""What may be claimed: the comparisons named beforehand, paired over concepts and seeds, all under one Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.erasure.study.endpoint import Endpoint, curve_of, endpoint
from graphlab.erase.metrics.significance import Paired, holm, paired

Row = Mapping[str, str]
COMPARED = {
    "digits": (
        ("ant", "esd+uncond"),
        ("ant", "esd"),
        ("ant+intersection-9", "ant"),
        ("ant+intersection-9", "ant+random"),
        ("salun", "esd"),
    ),
    "world": (("ant", "esd+uncond"), ("ant", "esd"), ("ant+intersection-9", "ant"), ("salun", "esd")),
}
QUANTITIES = ("structure", "worst")
LEAST_SHARE = 2 / 3
"""Share of the pairs in which both have an endpoint below which nothing is claimed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """first - second of a `quantity` in a `part`: `found` over the pairs in which both reached the endpoint, None for
    too few of them; `pairs` there could be, `both` there are. `holds` is whether it is claimed, after Holm over all
    comparisons."""

    part: str
    first: str
    second: str
    quantity: str
    found: Paired | None
    pairs: int
    both: int
    holds: bool


def endpoints(rows: Sequence[Row], judge: str = "report") -> dict[tuple[str, str, int], Endpoint | None]:
    """{(method, concept, seed): endpoint} of the runs that report."""
    by_run: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        if row["stage"] == "report":
            by_run.setdefault((row["method"], row["concept"], int(row["seed"])), []).append(row)
    return {key: endpoint(curve_of(part, judge)) for key, part in by_run.items()}


def claims(parts: Mapping[str, Sequence[Row]]) -> tuple[Claim, ...]:
    """Every comparison that was named, from `parts` {part: rows}. One without enough pairs, or of a part that is not
    there, counts in Holm's correction with p = 1: what is claimed without it stays claimed with it."""
    made = [
        _claim(part, first, second, quantity, endpoints(parts.get(part, ())))
        for part, compared in COMPARED.items()
        for first, second in compared
        for quantity in QUANTITIES
    ]
    p_values = {_name(claim): 1.0 if claim.found is None else claim.found.p for claim in made}
    allowed = holm(p_values)
    return tuple(
        Claim(
            claim.part,
            claim.first,
            claim.second,
            claim.quantity,
            claim.found,
            claim.pairs,
            claim.both,
            allowed[_name(claim)] and claim.found is not None and claim.found.excludes_zero,
        )
        for claim in made
    )


def _claim(
    part: str, first: str, second: str, quantity: str, found: Mapping[tuple[str, str, int], Endpoint | None]
) -> Claim:
    keys = sorted((concept, seed) for method, concept, seed in found if method == first)
    keys = [key for key in keys if (second, *key) in found]
    both = [(found[first, *key], found[second, *key]) for key in keys]
    values = [
        (float(getattr(one, quantity)), float(getattr(other, quantity)))
        for one, other in both
        if one is not None and other is not None
    ]
    enough = len(values) >= 3 and len(values) >= LEAST_SHARE * len(keys)
    result = paired(*map(list, zip(*values, strict=True))) if enough else None
    return Claim(part, first, second, quantity, result, len(keys), len(values), False)


def _name(claim: Claim) -> str:
    return f"{claim.part}: {claim.first} - {claim.second}, {claim.quantity}"
