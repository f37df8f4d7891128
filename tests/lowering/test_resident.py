"""Memory as the system counts it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import graphlab.lowering.resident as resident
from graphlab.lowering.resident import peak_bytes, release, reset_peak, resident_bytes

MiB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_peak_is_seen_and_forgotten() -> None:
    release()
    if not reset_peak():
        pytest.skip("this system does not let a process reset its peak")
    start = peak_bytes()
    block = torch.ones(64 * MiB // 4)
    high = peak_bytes()
    del block
    release()
    assert start is not None
    assert high is not None
    assert high - start > 60 * MiB
    remembered = peak_bytes()
    assert remembered is not None
    assert abs(remembered - high) < MiB
    assert reset_peak()
    low, now = peak_bytes(), resident_bytes()
    assert low is not None
    assert now is not None
    assert low < high - 60 * MiB
    assert abs(low - now) < 8 * MiB


def test_a_system_that_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(resident, "STATUS", tmp_path / "status")
    monkeypatch.setattr(resident, "CLEAR", tmp_path / "no" / "clear_refs")
    assert (resident_bytes(), peak_bytes(), reset_peak()) == (None, None, False)
