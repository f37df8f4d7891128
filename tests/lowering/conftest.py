"""Compilers keep what they made between tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def inductor_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inductor's files go beside the captures of the tests."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(Path(os.environ["GRAPHLAB_TEST_CACHE"]) / "inductor"))
