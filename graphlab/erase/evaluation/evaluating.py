"""Draws, judges and compares: what a model is like from which a concept was erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.judging import judged
from graphlab.erase.evaluation.plan import Group, Plan, draw_plan, plan
from graphlab.erase.evaluation.real import held_out, other_real
from graphlab.erase.evaluation.result import Evaluation, KernelDistances, Mean
from graphlab.erase.evaluation.subject import Subject, subject_of
from graphlab.erase.metrics.distance import distance
from graphlab.erase.metrics.drift import DriftBin, drift
from graphlab.erase.metrics.structure import structure_kept
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge

Images = Mapping[Group, torch.Tensor]
"""{group: images (images, channels, height, width)} as `draw_plan` draws them."""


@runtime_checkable
class HasFeatures(Protocol):
    """A judge that kernel distances can be taken with."""

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Features (images, width) of images (images, channels, height, width)."""
        ...


def evaluate(
    base: Base,
    erased: Base | Subject,
    concept: str,
    judges: Sequence[Judge],
    config: EvaluationConfig | None = None,
    *,
    also: Sequence[str] = (),
    before: Images | None = None,
    after: Images | None = None,
) -> Evaluation:
    """Everything `config` asks for about `erased`, once `base`, from which `concept` is gone, and `also` those.

    `before` are the base's images of the same plan, where they are there already (`before_images`), `after` those of
    some of its groups by what is evaluated. EraseError for an unknown concept, judges of another world or none, and
    images of another plan.
    """
    if not judges:
        raise EraseError("there is no judge to say what images show")
    how = config or EvaluationConfig()
    asked = plan(base, concept, how, also)
    old = draw_plan(subject_of(base), asked, base, how) if before is None else _checked(before, asked, base)
    subject = subject_of(erased)
    known = {} if after is None else _checked(after, {group: asked[group] for group in after}, base)
    new = {**draw_plan(subject, {group: asked[group] for group in asked if group not in known}, base, how), **known}
    return Evaluation(
        world=base.world.name,
        concept=concept,
        also=tuple(also),
        config=how,
        before=tuple(judged(judge, base.world, asked, old) for judge in judges),
        after=tuple(judged(judge, base.world, asked, new) for judge in judges),
        structure={group: Mean.of(structure_kept(old[group], new[group])) for group in asked},
        distance=_distances(base, judges, asked, old["kept"], new["kept"], how),
        drift=drifts(base, subject, asked, how),
    )


def before_images(
    base: Base, concept: str, config: EvaluationConfig, also: Sequence[str] = ()
) -> dict[Group, torch.Tensor]:
    """The base's images of an evaluation, to be drawn once and given to `evaluate` again and again."""
    return draw_plan(subject_of(base), plan(base, concept, config, also), base, config)


def drifts(base: Base, subject: Subject, asked: Plan, config: EvaluationConfig) -> dict[str, tuple[DriftBin, ...]]:
    """Drift of what is predicted under the empty prompt, the concept's and those of kept classes, by log SNR bin.

    Latents are of held-out real images: of the concept for its prompts, of kept classes for the others.
    """
    images = {
        group: held_out(base.world, sorted(set(asked[group].labels[:, -1].tolist())), config.drift_images)
        for group in ("trained", "kept")
    }
    texts = {
        "empty": (images["kept"].images, base.empty),
        "concept": (images["trained"].images, _texts(base, images["trained"].labels)),
        "kept": (images["kept"].images, _texts(base, images["kept"].labels)),
    }
    model, teacher = subject.denoiser, base.denoiser()
    return {
        name: drift(model, teacher, shown, text, config.edges, seed=config.seed)
        for name, (shown, text) in texts.items()
    }


def _texts(base: Base, labels: torch.Tensor) -> torch.Tensor:
    """Encoded prompts (images, tokens, width) that name all of each row of `labels` in first forms."""
    names = [attribute.name for attribute in base.world.attributes]
    rows = [{name: (label, 0) for name, label in zip(names, row, strict=True)} for row in labels.tolist()]
    return base.encode([base.language.prompt(row) for row in rows])


def _distances(
    base: Base, judges: Sequence[Judge], asked: Plan, old: torch.Tensor, new: torch.Tensor, config: EvaluationConfig
) -> KernelDistances | None:
    judge = next((judge for judge in judges if isinstance(judge, HasFeatures)), None)
    if judge is None:
        return None
    classes = sorted(set(asked["kept"].labels[:, -1].tolist()))
    held = held_out(base.world, classes, config.real_images)
    known = judge.features(held.images)
    before, after, floor = (
        distance(judge.features(images), known, draws=config.bootstrap, seed=config.seed)
        for images in (old, new, other_real(base.world, classes, config.real_images).images)
    )
    return KernelDistances(before, after, floor, made=len(new), real=len(held.images))


def _checked(images: Images, asked: Plan, base: Base) -> Images:
    for group, part in asked.items():
        found = None if group not in images else tuple(images[group].shape)
        if found != (len(part.prompts), *base.world.shape):
            raise EraseError(f"images before are {found} of {group}, and not of {len(part.prompts)} prompts")
    return images
