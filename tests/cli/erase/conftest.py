"""Sources for the commands, made once, and the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphlab.erase.worlds.cnn_judge import save_judge, train_judge
from graphlab.erase.worlds.known import world_of
from tests.erase import tiny


@pytest.fixture(scope="session")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a narrow base of digits."""
    return tiny.base_file(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def pipeline_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny pipeline."""
    return tiny.pipeline(tmp_path_factory.mktemp("pipeline") / "tiny")


@pytest.fixture(scope="session")
def judge_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a briefly taught judge of digits."""
    path = tmp_path_factory.mktemp("judge") / "judge-digits.safetensors"
    save_judge(train_judge(world_of("digits"), steps=150), path)
    return path


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A configuration that takes no time."""
    path = tmp_path / "quick.toml"
    path.write_text(
        "[maps]\nseeds = [0]\ndraws = 2\nsteps = 4\nbatch = 2\nboundary = -2.0\n"
        "[training]\niterations = 4\nsave_every = 1\npath = { steps = 4, batch = 2, boundary = -2.0 }\n"
    )
    return path
