"""The layout world's exact decoder: the most likely class under the templates, unless no template fits."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from graphlab.erase.metrics.accuracy import ABSTAINED
from graphlab.erase.worlds.judges import Threshold, check_images, evidence, threshold
from graphlab.erase.worlds.layout import CORNER, LayoutWorld, templates
from graphlab.erase.worlds.posterior import of_attribute
from graphlab.erase.worlds.world import World

SPREAD = 0.1
"""Standard deviation of the pixels around a template, for the likelihood."""
TOGETHER = 256
_PATCH = slice(CORNER - 1, CORNER + 6)
"""Rows and columns that a glyph can reach, whatever its offset."""


@dataclass(frozen=True, slots=True)
class TemplateJudge:
    """Decodes by likelihood; `field` bounds the residual of the whole image, `glyph` that around the glyph.

    Residuals are root mean squares of image - best template. Above `field`, nothing is told; above `glyph`, the
    layout and the palette are.
    """

    field: Threshold
    glyph: Threshold

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "templates"

    @property
    def world(self) -> World:
        """The layout world."""
        return LayoutWorld()

    def labels(self, images: torch.Tensor) -> torch.Tensor:
        """Labels (images, 3) of `images` (images, 3, 16, 16), ABSTAINED where the residual is too large."""
        check_images(images, self.world)
        found, field, glyph = _decoded(images)
        found[field > self.field.value] = ABSTAINED
        found[glyph > self.glyph.value, 2] = ABSTAINED
        return found


@functools.cache
def template_judge() -> TemplateJudge:
    """The decoder with its thresholds, set on the calibration images of `judges.evidence` and on nothing else."""
    shown = evidence(LayoutWorld())
    _, field, glyph = _decoded(shown.real.images)
    return TemplateJudge(
        threshold(field, _decoded(shown.spoilt_in(0))[1]),
        threshold(glyph, _decoded(shown.spoilt_in(2))[2]),
    )


def _decoded(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(labels (images, 3), residual of the field (images,), residual around the glyph (images,))."""
    parts = [_decoded_part(part) for part in torch.split(images, TOGETHER)]
    labels, field, glyph = (torch.cat(column) for column in zip(*parts, strict=True))
    return labels, field, glyph


def _decoded_part(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    known = templates()
    flat = known.images.flatten(1)
    likelihoods = (images.flatten(1) @ flat.T - flat.square().sum(1) / 2) / SPREAD**2
    logs = torch.log_softmax(likelihoods, 1)
    classes = [len(attribute.classes) for attribute in LayoutWorld().attributes]
    labels = [of_attribute(logs, known.labels[:, index], count).argmax(1) for index, count in enumerate(classes)]
    rest = images - known.images[logs.argmax(1)]
    field = rest.square().mean((1, 2, 3)).sqrt()
    return torch.stack(labels, 1), field, rest[..., _PATCH, _PATCH].square().mean((1, 2, 3)).sqrt()
