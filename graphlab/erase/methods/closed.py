"""Closed-form edits of a base's cross-attention: one concept or several become the empty prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from graphlab.erase.fusion.closed_form import Edit, as_anchor, as_trained, fused
from graphlab.erase.fusion.projections import cross_attention_projections, edit_projections
from graphlab.erase.fusion.statistics import TextStatistics
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.phrases import TRAINED_FORMS
from graphlab.erase.worlds.prompts import EMPTY


def phrases(base: Base, concept: str) -> list[str]:
    """The phrases of a concept that erasing may use. EraseError for an unknown concept."""
    last = base.world.attributes[-1]
    label = last.label(concept)
    return [base.language.phrase(last.name, label, form) for form in TRAINED_FORMS]


def kept_text(base: Base, concepts: Sequence[str]) -> TextStatistics:
    """Second moments of every phrase of every class but `concepts`, and of the empty prompt."""
    last = base.world.attributes[-1]
    prompts = [
        base.language.phrase(last.name, label, form)
        for label, name in enumerate(last.classes)
        if name not in concepts
        for form in range(base.language.forms[last.name])
    ]
    return TextStatistics.of(base.encode([EMPTY, *prompts]))


def anchored(base: Base, concepts: Sequence[str], keep: float, rho: float) -> Base:
    """The base whose keys and values of `concepts` are those of the empty prompt, token by token."""
    text = base.encode([prompt for concept in concepts for prompt in phrases(base, concept)])
    anchors = base.empty.expand_as(text)
    return _edited(base, concepts, keep, rho, lambda name, weight: [as_anchor(weight, text, anchors)])


def fused_edits(base: Base, trained: Mapping[str, Base], keep: float, rho: float) -> Base:
    """The base whose keys and values of each concept are those of the base that was `trained` without it."""
    made = {concept: cross_attention_projections(other.unet) for concept, other in trained.items()}
    texts = {concept: base.encode(phrases(base, concept)) for concept in trained}

    def edits(name: str, weight: torch.Tensor) -> list[Edit]:
        return [as_trained(made[concept][name].weight.detach(), texts[concept]) for concept in trained]

    return _edited(base, tuple(trained), keep, rho, edits)


def between(base: Base, edited: Base, strength: float) -> Base:
    """The base with a share `strength` of the change of its weights that `edited` made: 0 is the base, 1 the edit."""
    made = base.copy()
    changed = edited.unet.state_dict()
    with torch.no_grad():
        for name, value in made.unet.state_dict().items():
            value.copy_(changed[name] if strength == 1 else value.lerp(changed[name], strength))
    return made


def _edited(
    base: Base, concepts: Sequence[str], keep: float, rho: float, edits: Callable[[str, torch.Tensor], list[Edit]]
) -> Base:
    made, kept = base.copy(), kept_text(base, concepts)
    edit_projections(made.unet, lambda name, weight: fused(weight, edits(name, weight), kept, keep=keep, rho=rho))
    return made
