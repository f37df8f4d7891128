"""What a method is: how weights are trained, worked out or left alone, as data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Literal

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Ablation, Objective, TermName, TermWeights
from graphlab.erase.saliency.config import Keep, Ranking, SaliencyConfig
from graphlab.erase.trajectory import Boundary
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.phrases import TRAINED_FORMS

Side = Literal["early", "late"]


@dataclass(frozen=True, slots=True)
class Masking:
    """A saliency mask: the intersection of `forms` phrases x `seeds` maps of `draws` gradients, each of which keeps a
    `fraction`.

    `everywhere` takes gradients at all levels and not at late ones alone. `random` takes instead as many entries of
    every weight, drawn without looking.
    """

    forms: int = len(TRAINED_FORMS)
    seeds: int = 1
    fraction: float = 0.5
    ranking: Ranking = "tensor"
    keep: Keep = "top"
    everywhere: bool = False
    random: bool = False
    draws: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.forms <= len(TRAINED_FORMS):
            raise EraseError(f"a mask of {self.forms} phrases", hint=f"erasing may use {len(TRAINED_FORMS)}")

    @property
    def maps(self) -> int:
        """How many maps are intersected, of one concept."""
        return self.forms * self.seeds


@dataclass(frozen=True, slots=True)
class Finetuning:
    """The four terms with `weights`, reversed above the log SNR `boundary`, None for the one a run is given.

    -inf reverses at all levels (what ESD does), inf at none.
    """

    weights: TermWeights
    boundary: float | None = None
    ablation: Ablation = field(default_factory=Ablation)
    sampler: Literal["teacher", "student"] = "teacher"
    masking: Masking | None = None

    def at(self, boundary: float) -> float:
        """The boundary of a run that is given `boundary`."""
        return boundary if self.boundary is None else self.boundary

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return Objective(self.weights, ablation=self.ablation)

    def taught(self, base: Base, boundary: float, steps: int) -> tuple[TermName, ...]:
        """Terms whose student goes through the network with gradient, at each sample of every iteration.

        Levels are those of `base` in `steps`. EraseError where there is none.
        """
        early, late = Boundary(self.at(boundary)).split(base.schedule.levels(steps))
        sides: dict[Side, bool] = {"early": bool(early), "late": bool(late)}
        if self.ablation.inverted_axis:
            sides = {"early": sides["late"], "late": sides["early"]}
        terms: tuple[tuple[TermName, Side], ...] = (
            ("erase", "late"),
            ("preserve", "early"),
            ("uncond_late", "late"),
            ("uncond_early", "early"),
        )
        found = tuple(
            name
            for name, side in terms
            if sides[side]
            and getattr(self.weights, name)
            and not (self.ablation.dead_unconditional and name.startswith("uncond"))
        )
        if not found:
            raise EraseError(f"no term is taught with the boundary {self.at(boundary)}")
        return found


@dataclass(frozen=True, slots=True)
class ClosedForm:
    """Cross-attention projections that take the concept where they took the empty prompt, other prompts staying.

    `keep` weighs what is kept, `rho` the ridge. `strengths` are the shares of the change that are made, one
    checkpoint each: its curve, as others have one along training.
    """

    keep: float = 1.0
    rho: float = 1e-3
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Fusing:
    """A low-rank change of `rank` for each concept, trained as `finetuning` on keys and values of cross-attention, then
    all of them as one closed-form edit with `keep` and `rho`, and the same `strengths`."""

    finetuning: Finetuning
    rank: int = 8
    keep: float = 1.0
    rho: float = 1e-3
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Avoiding:
    """Negative prompting: no weight changes, guidance leads away from the concept."""


@dataclass(frozen=True, slots=True)
class Retraining:
    """A base trained in the same way on images without the concept: what perfect erasing comes to."""


How = Finetuning | ClosedForm | Fusing | Avoiding | Retraining


@dataclass(frozen=True, slots=True)
class Method:
    """A method by its `name`; `says` is what it does, in a line."""

    name: str
    says: str
    how: How

    @property
    def trains(self) -> bool:
        """Whether it has a learning rate."""
        return isinstance(self.how, Finetuning | Fusing)


def saliency_config(
    how: Finetuning,
    masking: Masking,
    base: Base,
    boundary: float,
    steps: int,
    guidance: float,
    seeds: tuple[int, ...],
) -> SaliencyConfig:
    """What the maps of a mask are made by. EraseError where nothing is reversed."""
    limit = -inf if masking.everywhere else how.at(boundary)
    if not isfinite(limit) and limit > 0:
        raise EraseError("where nothing is reversed, there is no gradient to make a mask of")
    return SaliencyConfig(
        objective=replace(how.objective, ablation=Ablation()),
        shape=base.world.shape,
        seeds=seeds,
        boundary=limit,
        steps=steps,
        guidance=guidance,
        draws=masking.draws,
        batch=masking.draws,
        fraction=masking.fraction,
        ranking=masking.ranking,
        keep=masking.keep,
    )
