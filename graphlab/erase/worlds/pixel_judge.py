"""The second judge of digits: a support vector machine on pixels, which shares nothing with a CNN but the images."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import ABSTAINED
from graphlab.erase.worlds.corruption import corrupted
from graphlab.erase.worlds.digits import NAMES, DigitsWorld, digits, jittered
from graphlab.erase.worlds.judges import REAL_NOISE, Threshold, check_images, evidence, threshold
from graphlab.erase.worlds.world import Labelled, World

NEIGHBOURS = 5
PENALTY = 3.0
"""C of the machine; its kernel is exp(-|a - b|^2 / (pixels x variance of the training pixels))."""
COPIES = 3
"""Jittered copies of every training image, to learn from beside it."""
SPOILT_IMAGES = 200
"""Of each kind of corruption, to learn the class for none from."""


@dataclass(frozen=True)
class PixelJudge:
    """The class of `machine`, a fitted SVC whose last class is none, unless the image is further than `distance`.

    The distance of an image is the mean over its NEIGHBOURS nearest training images, `search` finding them.
    """

    machine: Any
    search: Any
    distance: Threshold

    @property
    def name(self) -> str:
        """How it is called in tables."""
        return "pixels"

    @property
    def world(self) -> World:
        """The digits."""
        return DigitsWorld()

    def labels(self, images: torch.Tensor) -> torch.Tensor:
        """Labels (images, 1) of `images` (images, 1, 8, 8); ABSTAINED for the class for none and far images."""
        check_images(images, self.world)
        found = torch.from_numpy(self.machine.predict(_flat(images)))
        far = _distance(self.search, images) > self.distance.value
        return torch.where(far | (found == len(NAMES)), ABSTAINED, found)[:, None]


@functools.cache
def pixel_judge() -> PixelJudge:
    """The judge, fitted to the training part, its threshold set on the calibration part. EraseError without sklearn."""
    try:
        from sklearn.neighbors import NearestNeighbors
        from sklearn.svm import SVC
    except ImportError as error:
        raise EraseError("the judge of pixels needs scikit-learn", hint="pip install 'graphlab[erase]'") from error
    known, generator = digits("train"), torch.Generator().manual_seed(0)
    machine = SVC(C=PENALTY, gamma="scale").fit(*_lessons(known, generator))
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(_flat(known.images))
    shown = evidence(DigitsWorld())
    limit = threshold(_distance(search, shown.real.images), _distance(search, shown.spoilt_in(0)))
    return PixelJudge(machine, search, limit)


def _lessons(known: Labelled, generator: torch.Generator) -> tuple[Any, Any]:
    """(pixels (images, 64), labels (images,)) to fit the machine to, none being the class after the last."""
    real = [known.images]
    for _ in range(COPIES):
        noise = torch.randn(known.images.shape, generator=generator)
        real.append(jittered(known.images, generator) + REAL_NOISE * noise)
    spoilt = torch.cat([part.images for part in corrupted(DigitsWorld(), SPOILT_IMAGES, generator)])
    labels = [*([known.labels[:, 0]] * len(real)), torch.full((len(spoilt),), len(NAMES))]
    return _flat(torch.cat([*real, spoilt])), torch.cat(labels).numpy()


def _flat(images: torch.Tensor) -> Any:
    return images.detach().cpu().flatten(1).numpy()


def _distance(search: Any, images: torch.Tensor) -> torch.Tensor:
    far, _ = search.kneighbors(_flat(images))
    return torch.from_numpy(far).mean(1)
