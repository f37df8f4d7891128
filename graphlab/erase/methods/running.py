"""Runs a method: a base in, the models along its way out, resumable in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.subject import BaseSubject, Subject
from graphlab.erase.methods.closed import anchored, between, fused_edits, phrases
from graphlab.erase.methods.effort import Effort, marks
from graphlab.erase.methods.method import Avoiding, ClosedForm, Finetuning, Fusing, Masking, Method, saliency_config
from graphlab.erase.methods.snapshots import Snapshots
from graphlab.erase.saliency.building import saliency
from graphlab.erase.saliency.controls import RandomMasks
from graphlab.erase.saliency.density import densities, density
from graphlab.erase.training.loop import MANIFEST, train
from graphlab.erase.training.progress import Progress
from graphlab.erase.training.prompts import Prompts
from graphlab.erase.worlds.base import Base

KEYS_AND_VALUES = r"regex:attn2\.to_[kv]\.weight$"

MASK_SEEDS = 1000
"""Seeds of masks of one run do not reach those of the next."""


@dataclass(frozen=True)
class Point:
    """A model along the way: after `iteration` iterations, or at the `strength` of an edit; `evaluations` of one
    sample with gradient were made up to it."""

    subject: Subject
    iteration: int
    strength: float
    evaluations: int


@dataclass(frozen=True)
class Erased:
    """What a method made of a base: `points` on its way, the last being its end.

    `mask_evaluations` are those with gradient that a mask took, `density` the share of weights it lets change, None
    without a mask.
    """

    method: Method
    concepts: tuple[str, ...]
    points: tuple[Point, ...]
    mask_evaluations: int = 0
    density: float | None = None


def run_method(
    base: Base,
    concepts: str | Sequence[str],
    method: Method,
    effort: Effort,
    folder: Path,
    *,
    rate: float | None = None,
    seed: int = 0,
    retrained: Base | None = None,
) -> Erased:
    """`base`, which stays as it is, without `concepts`. The folder may hold the same run, which then goes on.

    A method that trains takes a learning `rate`, the others none. `retrained` is for the method of that name, which
    trains a base and so is done elsewhere. EraseError for an unknown concept, a folder of another run, a rate too many
    or missing, and what masks and training refuse.
    """
    names = (concepts,) if isinstance(concepts, str) else tuple(concepts)
    if method.trains != (rate is not None):
        raise EraseError(f"{method.name} takes {'a' if method.trains else 'no'} learning rate")
    prompts = base.named([prompt for name in names for prompt in phrases(base, name)])
    how = method.how
    if isinstance(how, Finetuning):
        assert rate is not None
        points, spent, share = _finetuned(base, names, prompts, how, effort, folder, rate, seed)
        return Erased(method, names, points, spent, share)
    if isinstance(how, Fusing):
        assert rate is not None
        return Erased(method, names, _fused(base, names, how, effort, folder, rate, seed))
    if isinstance(how, ClosedForm):
        edited = anchored(base, names, how.keep, how.rho)
        return Erased(method, names, _strengths(base, edited, how.strengths, 0))
    if isinstance(how, Avoiding):
        return Erased(method, names, (Point(BaseSubject(base, tuple(prompts.concept)), 0, 1.0, 0),))
    if retrained is None:
        raise EraseError("a base without the concept has to be trained first", hint="give it as retrained")
    return Erased(method, names, (Point(BaseSubject(retrained), 0, 1.0, 0),))


def _finetuned(
    base: Base,
    names: tuple[str, ...],
    prompts: Prompts,
    how: Finetuning,
    effort: Effort,
    folder: Path,
    rate: float,
    seed: int,
) -> tuple[tuple[Point, ...], int, float | None]:
    """(points, evaluations for the mask, its density)."""
    masks, spent, share = None, 0, None
    if how.masking is not None:
        folder.mkdir(parents=True, exist_ok=True)
        masks, spent = mask_of(base, names, how, how.masking, effort, seed, folder / "mask.partial")
        share = density(densities(masks))
    config = effort.config(how, base, rate, seed)
    snapshots = Snapshots(folder, marks(config.iterations))
    student = base.copy()
    snapshots.catch_up(base)

    def keep(progress: Progress) -> None:
        snapshots.keep(progress.done, student)

    done = train(
        student.model,
        base.model,
        prompts,
        config,
        mask=masks,
        folder=folder,
        resume=(folder / MANIFEST).exists(),
        on_progress=keep,
    )
    each = done.evaluations // config.iterations
    points = tuple(Point(BaseSubject(snapshots.load(base, mark)), mark, 1.0, mark * each) for mark in snapshots.marks)
    return points, spent, share


def mask_of(
    base: Base,
    names: tuple[str, ...],
    how: Finetuning,
    masking: Masking,
    effort: Effort,
    seed: int,
    partial: Path,
) -> tuple[dict[str, torch.Tensor], int]:
    """({key: mask}, samples whose gradient it took); maps that are finished are kept at `partial`."""
    seeds = tuple(range(MASK_SEEDS * seed, MASK_SEEDS * seed + masking.seeds))
    config = saliency_config(how, masking, base, effort.boundary, effort.steps, effort.guidance, seeds)
    prompts = base.named([prompt for name in names for prompt in phrases(base, name)[: masking.forms]])
    found = saliency(base.model, prompts, config, partial=partial)
    masks = RandomMasks(found.masks, seed) if masking.random else found.masks
    return dict(masks), len(prompts.concept) * len(config.seeds) * config.draws


def _fused(
    base: Base, names: tuple[str, ...], how: Fusing, effort: Effort, folder: Path, rate: float, seed: int
) -> tuple[Point, ...]:
    trained, spent = {}, 0
    for name in names:
        student, place = base.copy(), folder / name
        share = replace(effort, evaluations=max(1, effort.evaluations // len(names)))
        config = share.config(how.finetuning, base, rate, seed, parameters=KEYS_AND_VALUES, rank=how.rank)
        done = train(
            student.model,
            base.model,
            base.named(phrases(base, name)),
            config,
            folder=place,
            resume=(place / MANIFEST).exists(),
        )
        trained[name] = student
        spent += done.evaluations
    edited = fused_edits(base, trained, how.keep, how.rho)
    return _strengths(base, edited, how.strengths, spent)


def _strengths(base: Base, edited: Base, strengths: Sequence[float], spent: int) -> tuple[Point, ...]:
    return tuple(Point(BaseSubject(between(base, edited, value)), 0, value, spent) for value in strengths)
