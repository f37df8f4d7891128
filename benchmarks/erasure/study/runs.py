"""Every run of the study. The protocol is docs/erasure.md; what is here was fixed before there were results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.methods.effort import Effort
from graphlab.erase.methods.known import BOUNDARIES, METHODS, boundary_name

Part = Literal["digits", "world", "attacks"]
Stage = Literal["tune", "report", "several", "attack"]
PARTS: tuple[Part, ...] = ("digits", "world", "attacks")
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
SEEDS = tuple(range(5))
CONCEPTS = {"digits": ("three", "eight", "zero"), "world": ("block", "plus", "slash")}
"""Reported concepts, named beforehand: eight and block have close neighbours (three and nine; disc)."""
TUNED_ON = {"digits": "seven", "world": "pillar"}
EFFORT = {"digits": Effort(boundary=-3.0), "world": Effort(boundary=-1.0)}
EVALUATION = EvaluationConfig(images=256, unseen_images=256, kept_images=48, steps=10, drift_images=32, bootstrap=200)

MAIN = {
    "digits": ("ant", "esd", "esd+uncond", "salun", "ant+intersection-9", "ant+random"),
    "world": ("ant", "esd", "esd+uncond", "salun", "ant+intersection-9"),
}
"""Methods that are compared on every concept, and whose rate is tuned."""
ALSO_TUNED = ("ant+single", "ant+bottom", "ant-fused")
WITHOUT_TRAINING = ("uce", "negative-prompt")
VARIANTS = (
    *("ant-paper-a", "ant-c", "ant-d", "ant-e", "ant-inverted", "ant-dead", "ant-student"),
    *("ant+single", "ant+intersection-3", "ant+intersection-24", "ant+bottom"),
    *(boundary_name(value) for value in BOUNDARIES if value != EFFORT["digits"].boundary),
)
"""Compared on the first concept of the digits."""
SEVERAL = ("ant", "esd+uncond", "ant-fused", "uce", "negative-prompt")
SEVERAL_SEEDS = SEEDS[:3]
ATTACKED = ("base", "retrained", "ant", "esd", "esd+uncond", "salun", "ant+intersection-9", "uce")


@dataclass(frozen=True, slots=True)
class Run:
    """A method on a base: one file of rows. `rate` is that of a tuning run; others take the best of theirs."""

    part: Part
    stage: Stage
    base: str
    concepts: tuple[str, ...]
    method: str
    seed: int
    rate: float | None = None

    @property
    def key(self) -> str:
        """The name of its files."""
        rate = "" if self.rate is None else f"-{self.rate:g}"
        return f"{self.part}-{self.stage}-{self.base}-{'+'.join(self.concepts)}-{self.method}-{self.seed}{rate}"


def runs(part: Part) -> tuple[Run, ...]:
    """The runs of a part, those first that others wait for."""
    if part == "attacks":
        return tuple(_attacks())
    return tuple(_of_world(part))


def tuned_as(method: str) -> str | None:
    """The method whose best rate is taken; None for one without a rate.

    A variant changes one thing of ANT and takes ANT's rate; intersections take that of nine maps.
    """
    if not METHODS[method].trains:
        return None
    if method in (*MAIN["digits"], *ALSO_TUNED):
        return method
    return "ant+intersection-9" if method.startswith("ant+intersection") else "ant"


def _of_world(part: Literal["digits", "world"]) -> Iterable[Run]:
    tuned = (*MAIN[part], *(ALSO_TUNED if part == "digits" else ()))
    for method in tuned:
        for rate in RATES:
            yield Run(part, "tune", _base(part, 0), (TUNED_ON[part],), method, 0, rate)
    for concept in CONCEPTS[part]:
        for seed in SEEDS:
            first = concept == CONCEPTS[part][0]
            methods = (*MAIN[part], *WITHOUT_TRAINING)
            if part == "digits" and first:
                methods = (*methods, *VARIANTS, "retrained")
            for method in methods:
                if METHODS[method].trains or method == "retrained" or part == "digits" or seed < 2:
                    yield Run(part, "report", _base(part, seed), (concept,), method, seed)
    if part == "digits":
        for seed in SEVERAL_SEEDS:
            for method in SEVERAL:
                yield Run(part, "several", _base(part, seed), CONCEPTS[part], method, seed)


def _attacks() -> Iterable[Run]:
    for seed in SEEDS:
        for method in ATTACKED:
            yield Run("attacks", "attack", _base("digits", seed), CONCEPTS["digits"][:1], method, seed)


def _base(part: Literal["digits", "world"], seed: int) -> str:
    """A base a seed of the digits; the world has two, which take turns."""
    return f"digits-epsilon-{seed}" if part == "digits" else f"layout-{seed % 2}"
