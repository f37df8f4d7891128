"""Images drawn with a report of how many there are: an evaluation draws thousands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.evaluation.subject import Subject
from graphlab.erase.images import Sampling
from graphlab.erase.training.progress import OnProgress, Pace

Drawn = Callable[[int], None]
"""Told how many images were drawn since it was told last."""


def drawing(total: int, report: OnProgress | None) -> Drawn:
    """Adds up to the progress of `total` images."""
    pace, done = Pace(total), 0

    def drawn(count: int) -> None:
        nonlocal done
        done += count
        if report is not None:
            report(pace.after(done))

    return drawn


@dataclass(frozen=True)
class Watched:
    """`subject`, which tells `drawn` of every batch; its images are the same but for the rounding of prompts that are
    encoded batch by batch."""

    subject: Subject
    drawn: Drawn

    @property
    def denoiser(self) -> Denoiser:
        """The subject's own."""
        return self.subject.denoiser

    def draw(self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> torch.Tensor:
        """Images (seeds, channels, height, width), batch by batch as the subject itself draws them."""
        made = []
        for start in range(0, len(seeds), sampling.together):
            part = slice(start, start + sampling.together)
            made.append(self.subject.draw(prompts[part], seeds[part], sampling))
            self.drawn(len(made[-1]))
        return torch.cat(made)
