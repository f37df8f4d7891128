"""Sources for the commands, made once, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graphlab.erase.worlds.cnn_judge import save_judge, train_judge
from graphlab.erase.worlds.known import world_of
from tests.cli.conftest import Run
from tests.erase import tiny

Refuses = Callable[[str, str, tuple[str, ...], int, str], None]


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
def refuses(run: Run, base_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuses:
    """Runs a command on the base with options that it refuses, and looks that nothing is written."""

    def check(command: str, output: str, options: tuple[str, ...], code: int, says: str) -> None:
        monkeypatch.chdir(tmp_path)
        done = run("erase", command, str(base_path), "-o", output, *options)
        assert done.code == code
        assert says in " ".join(done.err.replace("│", " ").split())
        assert not list(tmp_path.iterdir())

    return check


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """A configuration that takes no time."""
    path = tmp_path / "quick.toml"
    path.write_text(
        "[maps]\nseeds = [0]\ndraws = 2\nsteps = 4\nbatch = 2\nboundary = -2.0\n"
        "[training]\niterations = 4\nsave_every = 1\npath = { steps = 4, batch = 2, boundary = -2.0 }\n"
    )
    return path
