"""Sessions as callables: what they wait for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graphlab.lowering.ort_call import settle


def test_values_on_an_accelerator_are_waited_for_once_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []
    stream = lambda device: SimpleNamespace(synchronize=lambda: waited.append(device))  # noqa: E731  # a stand-in
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    there: Any = SimpleNamespace(is_cuda=True, device=torch.device("cuda", 0))
    settle([there, torch.ones(1), there])
    assert waited == [torch.device("cuda", 0)]
