"""How thin erasure is: how fast a concept is learnt again, and whether some other words still draw it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import Level


@dataclass(frozen=True, slots=True)
class Learning:
    """Steps of Adam at `rate`, on batches of `batch` noisy images at levels between `low` and `high` log SNR."""

    steps: int
    rate: float
    batch: int = 16
    low: float = -4.0
    high: float = 3.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Inversion:
    """`embedding` (1, tokens, width) that draws the concept best, its `loss`, and those of every restart."""

    embedding: torch.Tensor
    loss: float
    losses: tuple[float, ...]


def relearn(
    denoiser: Denoiser,
    parameters: Iterable[torch.nn.Parameter],
    images: torch.Tensor,
    text: torch.Tensor,
    how: Learning,
    measure: Callable[[], float],
    *,
    every: int = 5,
    regained: float = 0.5,
) -> tuple[int | None, tuple[tuple[int, float], ...]]:
    """(steps until `measure()`, Acc_e on fresh images, is `regained` or more, or None; every (step, measure) taken).

    `parameters` of the erased network are trained on a few `images` (images, channels, height, width) of the concept
    under its prompt `text` by the denoising loss; 10 images, 50 steps and one fixed rate for all methods make figures
    comparable. It is measured before the first step, and after each `every`. They stay trained: give a copy.
    """
    trained = list(parameters)
    if not trained:
        raise EraseError("there is nothing to train again")
    optimizer = torch.optim.Adam(trained, lr=how.rate)
    generator = torch.Generator().manual_seed(how.seed)
    curve = [(0, measure())]
    for step in range(1, how.steps + 1):
        if curve[-1][1] >= regained:
            break
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(denoising_loss(denoiser, images, text, how, generator))
        optimizer.step()
        if step % every == 0 or step == how.steps:
            curve.append((step, measure()))
    found = next((step for step, value in curve if value >= regained), None)
    return found, tuple(curve)


def invert(
    denoiser: Denoiser,
    images: torch.Tensor,
    shape: tuple[int, int],
    how: Learning,
    *,
    restarts: int = 3,
    scale: float = 1.0,
) -> Inversion:
    """Concept inversion: the embedding (1, *`shape`) under which the network denoises `images` of the concept best.

    Nothing but the embedding is trained, from normal noise times `scale`, `restarts` times; the best of them, by the
    mean loss of the last tenth of its steps, is given. Make the same attack on the base, and on a model that never
    saw the concept: it says how much of what is found is the attack's own doing. What is reported is Acc_e of
    LEAST_IMAGES images under it, of 4 tokens, 100 steps and 3 restarts. EraseError without restarts.
    """
    if restarts < 1 or how.steps < 1:
        raise EraseError("an attack takes a restart and a step at least")
    found: list[tuple[float, torch.Tensor]] = []
    for restart in range(restarts):
        generator = torch.Generator().manual_seed(how.seed + restart)
        embedding = (scale * torch.randn(1, *shape, generator=generator)).to(images).requires_grad_(True)
        losses = _descend(denoiser, images, embedding, how, generator)
        last = losses[-max(1, len(losses) // 10) :]
        found.append((sum(last) / len(last), embedding.detach()))
    loss, embedding = min(found, key=lambda item: item[0])
    return Inversion(embedding, loss, tuple(value for value, _ in found))


def denoising_loss(
    denoiser: Denoiser, images: torch.Tensor, text: torch.Tensor, how: Learning, generator: torch.Generator
) -> torch.Tensor:
    """mean |eps(alpha x0 + sigma eps, text) - eps|^2 over a batch of `images`, all at one level drawn from log SNRs."""
    chosen = torch.randint(len(images), (how.batch,), generator=generator)
    clean = images[chosen]
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    level = _level(denoiser, how, generator)
    x = level.alpha * clean + level.sigma * noise
    return torch.mean((denoiser.noise(x, level, text) - noise) ** 2)


def _level(denoiser: Denoiser, how: Learning, generator: torch.Generator) -> Level:
    drawn = float(torch.rand((), generator=generator))
    return denoiser.schedule.at(how.low + drawn * (how.high - how.low))


def _descend(
    denoiser: Denoiser, images: torch.Tensor, embedding: torch.Tensor, how: Learning, generator: torch.Generator
) -> Sequence[float]:
    optimizer = torch.optim.Adam([embedding], lr=how.rate)
    losses = []
    for _ in range(how.steps):
        loss = denoising_loss(denoiser, images, embedding, how, generator)
        (embedding.grad,) = torch.autograd.grad(loss, [embedding])
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
