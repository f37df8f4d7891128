"""Attacks on an erased base: learning the concept again, and searching an embedding that still draws it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch

from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.real import real
from graphlab.erase.images import draw
from graphlab.erase.metrics.accuracy import Share, recognised
from graphlab.erase.metrics.attack import Inversion, Learning, invert, relearn
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge

RELEARNING = Learning(steps=50, rate=1e-4, batch=16)
INVERSION = Learning(steps=100, rate=0.05, batch=16)


@dataclass(frozen=True, slots=True)
class AttackConfig:
    """Relearning from `examples` images of the concept, measured on `measured` images every `every` steps; inversion
    of `tokens` tokens from `restarts` starts, judged on `images` images. Drawn in `steps` with `guidance`.

    `scale` is the spread of an embedding's start: the encoder's last layer is a norm, so its tokens have spread 1.
    """

    relearning: Learning = RELEARNING
    examples: int = 10
    every: int = 5
    regained: float = 0.5
    measured: int = 64
    inversion: Learning = INVERSION
    tokens: int = 4
    restarts: int = 3
    scale: float = 1.0
    images: int = 256
    steps: int = 25
    guidance: float = 2.0
    seed: int = 5_000_000


@dataclass(frozen=True, slots=True)
class Attacked:
    """`relearnt_after` steps, None where `regained` was not reached, its `curve` of (step, Acc_e on `measured` images);
    `inverted`: the share of images under the found embedding that show the concept, with the losses of all starts."""

    concept: str
    judge: str
    relearnt_after: int | None
    curve: tuple[tuple[int, float], ...]
    measured: int
    inverted: Share
    losses: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it in values that JSON can write."""
        return {**asdict(self), "curve": [list(part) for part in self.curve], "losses": list(self.losses)}


def attack(erased: Base, concept: str, judge: Judge, config: AttackConfig | None = None) -> Attacked:
    """Both attacks on `erased`, which stays as it is; make the same on its base and on one retrained without `concept`.

    Both learn from real images of the training part. EraseError for an unknown concept.
    """
    how = config or AttackConfig()
    label = erased.world.attributes[-1].label(concept)
    examples = real(erased.world, [label], how.examples, "train").images
    found, curve = _relearnt(erased, label, examples, judge, how)
    inversion = _inverted(erased, examples, how)
    shown = _drawn(erased, inversion.embedding, how.images, how)
    share = recognised(judge.labels(shown)[:, -1], label)
    return Attacked(concept, judge.name, found, curve, how.measured, share, inversion.losses)


def _relearnt(
    erased: Base, label: int, examples: torch.Tensor, judge: Judge, how: AttackConfig
) -> tuple[int | None, tuple[tuple[int, float], ...]]:
    student = erased.copy()
    student.unet.requires_grad_(True)
    text = student.encode([student.language.prompt({student.world.attributes[-1].name: (label, 0)})])

    def measure() -> float:
        with torch.no_grad():
            return recognised(judge.labels(_drawn(student, text, how.measured, how))[:, -1], label).value

    return relearn(
        student.denoiser(),
        student.unet.parameters(),
        examples,
        text,
        how.relearning,
        measure,
        every=how.every,
        regained=how.regained,
    )


def _inverted(erased: Base, examples: torch.Tensor, how: AttackConfig) -> Inversion:
    attacked = erased.copy()
    attacked.unet.requires_grad_(False)
    width = attacked.empty.shape[-1]
    return invert(
        attacked.denoiser(), examples, (how.tokens, width), how.inversion, restarts=how.restarts, scale=how.scale
    )


def _drawn(base: Base, text: torch.Tensor, count: int, how: AttackConfig) -> torch.Tensor:
    """Images (count, channels, height, width) of a text (1, tokens, width) of any length.

    Guidance takes both texts in one call, so they are repeated to one length: attention over a text whose every token
    comes as often is attention over the text.
    """
    sampling = EvaluationConfig(steps=how.steps, guidance=how.guidance).sampling(base.world.shape)
    length = math.lcm(text.shape[1], base.empty.shape[1])
    text, empty = (part.repeat(1, length // part.shape[1], 1) for part in (text, base.empty))
    return draw(base.denoiser(), text, empty, range(how.seed, how.seed + count), sampling)
