"""How much a method may do: the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from graphlab.erase.errors import EraseError
from graphlab.erase.methods.method import Finetuning
from graphlab.erase.training.config import LoraConfig, PathConfig, TrainingConfig
from graphlab.erase.worlds.base import Base

SHARES = (27, 9, 3, 1)
"""Checkpoints lie at the iterations / these: evenly by their logarithm, as a concept can be gone after few."""


@dataclass(frozen=True, slots=True)
class Effort:
    """`evaluations` of the network on one sample with gradient, whatever terms they go into: a method with four terms
    makes a quarter of the iterations of one with one. `batch` samples an iteration, on paths of `steps` guided by
    `guidance`, from `pool` start noises a prompt; t' is the log SNR `boundary` where the method does not say.

    Gradients for masks come on top; results count them.
    """

    boundary: float
    evaluations: int = 1728
    batch: int = 8
    steps: int = 25
    guidance: float = 3.0
    pool: int = 4

    def __post_init__(self) -> None:
        for name in ("evaluations", "batch", "steps"):
            if getattr(self, name) < 1:
                raise EraseError(f"{name} is {getattr(self, name)}, expected 1 or more")

    def iterations(self, how: Finetuning, base: Base) -> int:
        """Iterations of a method: the multiple of 27, 27 at least, nearest to what the evaluations allow."""
        each = self.batch * len(how.taught(base, self.boundary, self.steps))
        return SHARES[0] * max(1, round(self.evaluations / each / SHARES[0]))

    def config(
        self, how: Finetuning, base: Base, rate: float, seed: int, *, parameters: str = "full", rank: int | None = None
    ) -> TrainingConfig:
        """The training of a method at a learning rate; with `rank`, a low-rank one."""
        iterations = self.iterations(how, base)
        path = PathConfig(
            shape=base.world.shape,
            boundary=how.at(self.boundary),
            until=inf,
            steps=self.steps,
            guidance=self.guidance,
            batch=self.batch,
            sampler=how.sampler,
            pool=self.pool,
        )
        return TrainingConfig(
            objective=how.objective,
            path=path,
            iterations=iterations,
            rate=rate,
            parameters=parameters,
            lora=None if rank is None else LoraConfig(rank, float(rank)),
            seed=seed,
            save_every=iterations // SHARES[0],
        )


def marks(iterations: int) -> tuple[int, ...]:
    """Iterations after which there is a checkpoint, rising."""
    return tuple(iterations // share for share in SHARES)
