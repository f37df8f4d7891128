"""What an evaluation found, as numbers with their counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.plan import Group
from graphlab.erase.metrics.accuracy import Share, harmonic, worst
from graphlab.erase.metrics.distance import Distance
from graphlab.erase.metrics.drift import DriftBin
from graphlab.erase.training.strict import plain
from graphlab.report.decoding import SIGNED


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `count` images, and its 95 % interval over images, value -+ 1.96 s / sqrt(count).

    `left_out` images have no value, and are not in the mean.
    """

    value: Annotated[float, SIGNED]
    low: Annotated[float, SIGNED]
    high: Annotated[float, SIGNED]
    count: int
    left_out: int = 0

    @classmethod
    def of(cls, values: torch.Tensor) -> Mean:
        """That of `values` (images,), NaN where an image has none; EraseError for fewer than two that have one."""
        known = values[torch.isfinite(values)].double()
        if len(known) < 2:
            raise EraseError(f"{len(known)} of {len(values)} images have a value, expected two at least")
        value, reach = float(known.mean()), 1.959964 * float(known.std()) / len(known) ** 0.5
        return cls(value, value - reach, value + reach, len(known), len(values) - len(known))


@dataclass(frozen=True, slots=True)
class Judged:
    """What one judge says of the images of one model.

    `erased` {group: share of the concept's images that show it}, which is Acc_e, `valid` {group: share that shows
    anything}, `replaced` {group: {class or "none": share}}; `kept` {class: share that shows it}, Acc_p class by class;
    `others` {attribute: {group: share as asked for}} of the world's other attributes.
    """

    judge: str
    erased: Mapping[Group, Share]
    valid: Mapping[Group, Share]
    replaced: Mapping[Group, Mapping[str, Share]]
    kept: Mapping[str, Share]
    others: Mapping[str, Mapping[Group, Share]]

    @property
    def acc_p(self) -> Share:
        """Acc_p over all kept classes together."""
        return Share(sum(share.hits for share in self.kept.values()), sum(share.count for share in self.kept.values()))

    @property
    def worst(self) -> tuple[str, Share]:
        """The kept class that is drawn worst, and its Acc_p."""
        return worst(self.kept)

    def harmonic(self, group: Group) -> float:
        """H_c = 2 / (1 / (1 - Acc_e) + 1 / Acc_p) of the concept's images in `group`."""
        return harmonic(self.erased[group].value, self.acc_p.value)


@dataclass(frozen=True, slots=True)
class KernelDistances:
    """KID of kept prompts' images `before` and `after` against `real` held-out images, over `made` images a side.

    `floor` is that of real images of training against the same: what a perfect model comes to.
    """

    before: Distance
    after: Distance
    floor: Distance
    made: int
    real: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that was found of a model from which `concept` was erased, beside the base it was.

    `before` and `after` have one entry a judge. `structure` {group: correlation of the low passes of a seed's two
    images}. `distance` is None where no judge has features. `drift` {"empty", "concept" or "kept": bins}.
    """

    world: str
    concept: str
    also: tuple[str, ...]
    config: EvaluationConfig
    before: tuple[Judged, ...]
    after: tuple[Judged, ...]
    structure: Mapping[Group, Mean]
    distance: KernelDistances | None
    drift: Mapping[str, tuple[DriftBin, ...]]

    def by(self, judge: str) -> tuple[Judged, Judged]:
        """What `judge` says (before, after); EraseError for one that was not asked."""
        for pair in zip(self.before, self.after, strict=True):
            if pair[0].judge == judge:
                return pair
        known = ", ".join(part.judge for part in self.before)
        raise EraseError(f"no judge is called {judge!r}", hint=f"asked were: {known}")

    def to_dict(self) -> dict[str, Any]:
        """All of it in values that JSON can write, shares as hits, count, value and interval."""
        return {
            "world": self.world,
            "concept": self.concept,
            "also": list(self.also),
            "config": plain(self.config),
            "before": judged_dict(self.before),
            "after": judged_dict(self.after),
            "structure": {group: asdict(value) for group, value in self.structure.items()},
            "distance": None if self.distance is None else asdict(self.distance),
            "drift": {text: [asdict(part) for part in bins] for text, bins in self.drift.items()},
        }


def judged_dict(parts: Sequence[Judged]) -> dict[str, Any]:
    """{judge: what it says} in values that JSON can write, shares as hits, count, value and interval."""
    return {part.judge: _judged(part) for part in parts}


def _judged(judged: Judged) -> dict[str, Any]:
    name, share = judged.worst
    return {
        "acc_e": _shares(judged.erased),
        "valid": _shares(judged.valid),
        "replaced": {group: _shares(shares) for group, shares in judged.replaced.items()},
        "acc_p": _share(judged.acc_p),
        "acc_p_by_class": _shares(judged.kept),
        "worst": {"class": name, **_share(share)},
        "h_c": {group: judged.harmonic(group) for group in judged.erased},
        "others": {attribute: _shares(shares) for attribute, shares in judged.others.items()},
    }


def _shares(shares: Mapping[Any, Share]) -> dict[str, Any]:
    return {str(name): _share(share) for name, share in shares.items()}


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {"hits": share.hits, "count": share.count, "value": share.value, "low": low, "high": high}
