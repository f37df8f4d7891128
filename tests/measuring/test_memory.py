"""What is needed, what is there, and the refusal in between."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab.errors import GraphlabError
from graphlab.measuring import memory
from graphlab.pipeline import Facts
from tests.measuring.modules import CPU, captured


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a word about its memory."""
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    return tmp_path


def test_available_memory_is_the_least_anybody_grants(machine: Path) -> None:
    physical = memory.available_bytes(CPU)
    assert physical is not None
    assert physical > 2**26
    (machine / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:      40 kB\n")
    assert memory.available_bytes(CPU) == 40 * 1024
    (machine / "memory.max").write_text("30000\n")
    (machine / "memory.current").write_text("10000\n")
    assert memory.available_bytes(CPU) == 20000
    (machine / "memory.max").write_text("max\n")
    assert memory.available_bytes(CPU) == 40 * 1024


def test_too_large_is_one_line_with_both_numbers(machine: Path) -> None:
    (machine / "meminfo").write_text("MemAvailable: 1024 kB\n")
    memory.refuse_too_large("unet", 2**20, CPU)
    with pytest.raises(GraphlabError, match=r"^unet needs 2 MiB .*; 1 MiB are available \(profile smaller"):
        memory.refuse_too_large("unet", 2**21, CPU)


def test_weights_and_the_peak_of_activations_are_needed() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 16, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.linear(x))

    program = captured(Two(), torch.ones(4, 8))
    needed = memory.needed_bytes(Facts(program.graph, {}))
    assert needed == 4 * (8 * 16 + 4 * 8 + 2 * 4 * 16)
