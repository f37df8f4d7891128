"""The stamp of the machine says what the system says, and nothing where it says nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

import graphlab.timing.stamp as stamp
from graphlab.timing.stamp import environment
from graphlab.timing.surroundings import INDUCTOR_CACHE, surroundings


def test_a_stamp_of_this_machine() -> None:
    found = environment(3)
    assert (found.threads, found.versions["torch"]) == (3, torch.__version__)
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.cpu
    assert environment(None).threads == torch.get_num_threads()


def test_a_governor_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "GOVERNOR", tmp_path / "governor")
    assert environment(1).governor is None
    (tmp_path / "governor").write_text("powersave\n")
    assert environment(1).governor == "powersave"


def test_packages_that_are_not_there_have_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "_PACKAGES", {"torch": ("torch",), "openvino": ("no-such-package",)})
    versions = environment(1).versions
    assert versions["openvino"] is None
    assert versions["torch"] is not None


def test_processes_get_their_threads_and_caches_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(INDUCTOR_CACHE, raising=False)
    of = surroundings(tmp_path, 3)
    one, other = of("inductor -O2"), of("inductor")
    assert (one["OMP_NUM_THREADS"], one["MKL_NUM_THREADS"]) == ("3", "3")
    assert one[INDUCTOR_CACHE] != other[INDUCTOR_CACHE]
    assert Path(one[INDUCTOR_CACHE]).parent == tmp_path
    assert one["TMPDIR"] == str(tmp_path)  # what a process that is ended leaves goes with the folder
    assert not any("WAIT_POLICY" in name for name in one)


def test_a_cache_the_user_named_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(INDUCTOR_CACHE, "/somewhere")
    assert INDUCTOR_CACHE not in surroundings(tmp_path, 1)("inductor")
