"""What may be claimed: paired intervals over runs, and claims that stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphlab.erase.errors import EraseError


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean difference of `pairs` pairs with its 95 % t interval, and `p` of no difference (two-sided)."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference may be claimed, before Holm's correction."""
        return self.low > 0 or self.high < 0


def paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    """first - second over pairs of (concept, seed): mean -+ t(0.975, n - 1) s / sqrt(n).

    EraseError for fewer than three pairs: an interval of two says nothing.
    """
    if len(first) != len(second) or len(first) < 3:
        raise EraseError(f"{len(first)} and {len(second)} runs make no three pairs")
    differences = [one - other for one, other in zip(first, second, strict=True)]
    if len(set(differences)) == 1:
        return Paired(differences[0], differences[0], differences[0], float(differences[0] == 0), len(first))
    found = _scipy().ttest_1samp(differences, 0.0)
    low, high = found.confidence_interval(0.95)
    return Paired(sum(differences) / len(differences), float(low), float(high), float(found.pvalue), len(first))


def holm(p_values: Mapping[str, float], level: float = 0.05) -> dict[str, bool]:
    """{comparison: may it be claimed} by Holm: the k-th smallest p of n below level / (n - k + 1), and all before it.

    All comparisons named beforehand go in, also those that came out badly.
    """
    found, alive = {}, True
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        alive = alive and p <= level / (len(p_values) - rank)
        found[name] = alive
    return {name: found[name] for name in p_values}


def _scipy() -> Any:
    try:
        from scipy import stats
    except ImportError as error:
        raise EraseError("intervals over runs need SciPy", hint="pip install 'graphlab[erase]'") from error
    return stats
