"""What the backends inside torch share: the device, and the number of threads."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass

import torch

from graphlab.lowering.base import Backend
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class TorchBackend(Backend, ABC):
    """A backend whose calls run in torch, on one device."""

    device: str = option("cpu", "what to run on", choices=("cpu", "cuda"))

    @property
    def place(self) -> torch.device:
        """torch's device of that name."""
        return torch.device(self.device)

    def unavailable(self) -> str | None:
        """CUDA is asked for and torch has none."""
        if self.device == "cuda" and not torch.cuda.is_available():
            return "torch has no CUDA device here; leave device=cuda out for the CPU"
        return None

    def set_threads(self) -> None:
        """torch's threads for the whole process: its calls have no setting of their own."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
