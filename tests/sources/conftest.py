"""A small exported program with symbols, weights, a buffer, a constant and two kinds of inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


class Small(torch.nn.Module):
    """x (batch, 4) to (batch * batch // 2 / max(2, batch), ...): enough symbols to make expressions."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
        self.register_buffer("shift", torch.ones(4))
        self.scale = torch.arange(4.0)

    def forward(self, x: torch.Tensor, k: int) -> dict[str, torch.Tensor]:
        y = self.linear(x) * self.scale + self.shift
        return {"y": y[: x.shape[0] // 2].reshape(-1, 2) * k}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pt2 of `Small` at symbolic batch."""
    path = tmp_path_factory.mktemp("program") / "small.pt2"
    exported = torch.export.export(Small(), (torch.randn(6, 4), 3), dynamic_shapes=({0: torch.export.Dim.AUTO}, None))
    torch.export.save(exported, path)
    return path
