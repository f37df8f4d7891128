"""A backend of somebody's, installed for this process and those it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.conftest import forget
from tests.timing.modules import install_plugin


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Makes the backend `broken` known."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    install_plugin(folder)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    forget()
    yield
    forget()
