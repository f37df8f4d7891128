"""`graphlab new-pass`: what it writes passes its own test, ruff and mypy --strict as it is; what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphlab.cli.main import main
from graphlab.scaffold.write import LONGEST, NewPassError, new_pass

ROOT = Path(__file__).parents[2]
LONG = "a-long-name-" + "x" * (LONGEST - 12)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with passes of both kinds, one of each with the longest name."""
    folder = tmp_path_factory.mktemp("passes")
    names = {"drop-twice": "rewrite", "made-bytes": "analysis", LONG: "rewrite", f"{LONG[:-1]}y": "analysis"}
    for name, kind in names.items():
        new_pass(name, kind, folder)
    return folder


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    args = [sys.executable, "-m", *command]
    done = subprocess.run(args, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_written_passes_its_own_tests(written: Path) -> None:
    out = run(written, "pytest", "-q", "-p", "no:cacheprovider", "test_drop_twice.py", "test_made_bytes.py")
    assert "3 passed" in out


def test_what_is_written_is_clean(written: Path) -> None:
    run(written, "ruff", "check", "--isolated", "--no-cache", ".")
    run(written, "ruff", "format", "--isolated", "--no-cache", "--check", ".")
    # with the cache of the repository's own run, which has read torch
    cached = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache"))
    assert "no issues found in 8 source files" in run(written, "mypy", "--strict", *cached, ".")


def test_the_command_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new-pass", "my-bytes", "--kind", "analysis", "-o", "mine"]) == 0
    out = capsys.readouterr().out
    assert sorted(os.listdir("mine")) == ["my_bytes.py", "test_my_bytes.py"]
    assert "pytest mine/test_my_bytes.py\n" in out
    assert "graphlab analyze SOURCE --pass mine/my_bytes.py:MyBytes\n" in out
    assert 'my-bytes = "PACKAGE.my_bytes"\n' in out
    # what it says is what works
    source = str(ROOT / "tests" / "scaffold" / "source.py") + ":module"
    assert main(["analyze", source, "--static", "--pass", "mine/my_bytes.py:MyBytes,least=33", "--json", "-"]) == 0
    assert '"name": "my-bytes,least=33"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Fuse", "lower-case words joined by '-'"),
        ("fuse_gelu", "lower-case words joined by '-'"),
        ("fuse--gelu", "lower-case words joined by '-'"),
        ("-fuse", "lower-case words joined by '-'"),
        ("2fuse", "lower-case words joined by '-'"),
        ("fuse\n", "lower-case words joined by '-'"),
        ("../fuse", "lower-case words joined by '-'"),
        ("", "lower-case words joined by '-'"),
        ("x" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("class", "a word of Python"),
        ("match", "a word of Python"),
        ("test-it", "taken for a test"),
        ("json", "the module json is another one"),
        ("torch", "the module torch is another one"),
        ("fuse-gelu", "there already, of graphlab "),
    ],
)
def test_names_that_cannot_be(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NewPassError, match=message):
        new_pass(name, "rewrite", tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    (tmp_path / there).write_text("what was there")
    with pytest.raises(NewPassError, match=f"{there} is there already"):
        new_pass("mine", "rewrite", tmp_path)
    assert os.listdir(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "what was there"


def test_places_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "a" / "b"):
        with pytest.raises(NewPassError, match="cannot write into"):
            new_pass("mine", "rewrite", place)
    with pytest.raises(NewPassError, match="there is no kind 'x'"):
        new_pass("mine", "x", tmp_path)
    assert main(["new-pass", "mine", "--kind", "x"]) == 2


def test_half_a_pair_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Path.open

    def full(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == "test_mine.py":
            raise OSError(28, "No space left on device")
        return known(self, *args, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(NewPassError, match="No space left on device"):
        new_pass("mine", "rewrite", tmp_path)
    assert os.listdir(tmp_path) == []
