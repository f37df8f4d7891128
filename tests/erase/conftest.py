"""Sources that tests share, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.erase import tiny


@pytest.fixture(scope="session")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a narrow base of digits."""
    return tiny.base_file(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def pipeline_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny pipeline."""
    return tiny.pipeline(tmp_path_factory.mktemp("pipeline") / "tiny")
