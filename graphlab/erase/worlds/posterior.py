"""When each attribute of the layout world is decided: its exact posterior over log SNR.

An image is one of finitely many templates x_k, all as likely, and z = alpha x_k + sigma eps. So
p(k | z) is proportional to exp(-|z - alpha x_k|^2 / 2 sigma^2), and an attribute's posterior is the sum over the
templates with its class. Nothing is approximated but the mean over images and noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.layout import LayoutWorld, Templates, templates


@dataclass(frozen=True, slots=True)
class Curve:
    """What is known of `attribute` at each of `log_snr`.

    `information` is 1 - E[H(class | z)] / log(classes), 0 to 1; `error` its standard error; `accuracy` E[share right].
    """

    attribute: str
    log_snr: tuple[float, ...]
    information: tuple[float, ...]
    error: tuple[float, ...]
    accuracy: tuple[float, ...]

    def crossing(self, share: float = 0.5) -> float:
        """log SNR at which `information` first reaches `share`, interpolated linearly; EraseError where it does not."""
        for index in range(1, len(self.log_snr)):
            before, after = self.information[index - 1], self.information[index]
            if before < share <= after:
                part = (share - before) / (after - before)
                return self.log_snr[index - 1] + part * (self.log_snr[index] - self.log_snr[index - 1])
        raise EraseError(f"what is known of {self.attribute} does not cross {share} between the levels given")


def curves(log_snrs: Sequence[float], *, images: int = 256, seed: int = 0) -> tuple[Curve, ...]:
    """A curve for each attribute of the layout world, over rising `log_snrs`, from `images` images a level.

    Each level has its own images and noise, from `seed`. EraseError for levels that do not rise.
    """
    if not log_snrs or any(later <= before for before, later in pairwise(log_snrs)):
        raise EraseError("the levels of a curve rise")
    world, known = LayoutWorld(), templates()
    generator = torch.Generator().manual_seed(seed)
    found = [_level(known, value, images, generator) for value in log_snrs]
    return tuple(
        Curve(attribute.name, tuple(log_snrs), *(tuple(row[index][part] for row in found) for part in range(3)))
        for index, attribute in enumerate(world.attributes)
    )


def gap(first: Curve, second: Curve, share: float = 0.5) -> float:
    """Nats of log SNR between where `share` of `first` and of `second` is known; positive where `first` is earlier."""
    return second.crossing(share) - first.crossing(share)


def posterior(z: torch.Tensor, log_snr: float, known: Templates) -> torch.Tensor:
    """p(template | z) as logarithms (images, templates) of `z` (images, channels, height, width).

    `z` has alpha^2 + sigma^2 = 1; for another scaling, divide by sqrt(alpha^2 + sigma^2) first.
    """
    signal = 1 / (1 + math.exp(-log_snr))
    alpha, variance = math.sqrt(signal), 1 - signal
    flat = known.images.flatten(1)
    logits = (alpha * (z.flatten(1) @ flat.T) - signal / 2 * flat.square().sum(1)) / variance
    return torch.log_softmax(logits, dim=1)


def of_attribute(logs: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """p(class | z) (images, classes) of template posteriors `logs` (images, templates), of `labels` (templates,)."""
    share = logs.new_zeros(len(logs), classes)
    return share.index_add_(1, labels, logs.exp())


def _level(
    known: Templates, log_snr: float, images: int, generator: torch.Generator
) -> list[tuple[float, float, float]]:
    chosen = torch.randint(len(known.images), (images,), generator=generator)
    signal = 1 / (1 + math.exp(-log_snr))
    clean = known.images[chosen]
    noise = torch.randn(clean.shape, generator=generator)
    logs = posterior(math.sqrt(signal) * clean + math.sqrt(1 - signal) * noise, log_snr, known)
    found = []
    for index, attribute in enumerate(LayoutWorld().attributes):
        share = of_attribute(logs, known.labels[:, index], len(attribute.classes))
        entropy = -torch.special.xlogy(share, share).sum(1) / math.log(len(attribute.classes))
        right = (share.argmax(1) == known.labels[chosen, index]).double().mean()
        found.append((float(1 - entropy.mean()), float(entropy.std() / math.sqrt(images)), float(right)))
    return found
