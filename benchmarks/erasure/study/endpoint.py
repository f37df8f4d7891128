"""The primary endpoint: what is kept where as much of the concept is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

AT = 0.2
"""Acc_e at which methods are compared."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`structure` kept on the concept's prompts and `worst` Acc_p of a kept class, where Acc_e is AT."""

    structure: float
    worst: float


def endpoint(curve: Sequence[tuple[float, float, float]]) -> Endpoint | None:
    """The endpoint on a `curve` of (Acc_e, structure, worst Acc_p) from the base on; None where Acc_e stays above AT.

    Interpolated linearly in Acc_e between the first checkpoint at AT or below and the one before it.
    """
    for before, after in pairwise(curve):
        if after[0] <= AT < before[0]:
            part = (before[0] - AT) / (before[0] - after[0])
            structure, worst = (old + part * (new - old) for old, new in zip(before[1:], after[1:], strict=True))
            return Endpoint(structure, worst)
    return None


def bracket(acc_e: Sequence[float]) -> set[int]:
    """The checkpoints that the endpoint lies between, of `acc_e` from the base on (the base is none of them): where
    they are first at AT or below, and the one before it. Empty where there is no endpoint."""
    for index, (before, after) in enumerate(pairwise(acc_e)):
        if after <= AT < before:
            return {index - 1, index} - {-1}
    return set()


def curve_of(rows: Sequence[Mapping[str, str]], judge: str) -> list[tuple[float, float, float]]:
    """(Acc_e, structure, worst Acc_p) of the base and every checkpoint of a run, by `judge`: "cnn" or "report".

    Where no kept class was drawn, off the bracket of the endpoint, the last is NaN.
    """
    first = rows[0]
    start = (float(first[f"{judge}_acc_e_before"]), 1.0, float(first[f"{judge}_worst_before"]))
    points = [
        (float(row[f"{judge}_acc_e"]), float(row["structure"]), _number(row.get(f"{judge}_worst"))) for row in rows
    ]
    return [start, *points]


def score(rows: Sequence[Mapping[str, str]]) -> tuple[bool, float]:
    """What a learning rate is chosen by, by the CNN: structure + worst at the endpoint; where it is not reached, any
    rate that reaches it is better, and a lower Acc_e is."""
    curve = curve_of(rows, "cnn")
    found = endpoint(curve)
    if found is not None:
        return True, found.structure + found.worst
    return False, -min(point[0] for point in curve)


def _number(text: str | None) -> float:
    return float(text or "nan")
