"""A stage's run: what candidates get, and what is left of it when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import graphlab.benching as benching
from graphlab.timing.candidates import candidates
from graphlab.timing.job import ProgramFiles
from graphlab.timing.prepare import Wanted
from graphlab.timing.schedule import one_call
from graphlab.timing.stage import StageRun
from tests.timing.sample_report import BASE, report
from tests.timing.test_prepare import STAGE, WORKLOAD


class Kind:
    """Files that are only asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def files(self, *given: object) -> ProgramFiles:
        self.asked.append(given)
        return ProgramFiles("unet", "p.pt2", (), "inputs")


def test_a_program_is_rewritten_by_what_its_backend_does_not_leave_out(tmp_path: Path) -> None:
    chosen = candidates(["onnxruntime", "eager", "onnxruntime,target=standard"], rewrite=2)
    run = StageRun(WORKLOAD, STAGE, chosen, tmp_path, Wanted(), None, whole=False, threads=1)
    kind: Any = Kind()
    for candidate in chosen:
        run._entrant(candidate, [kind], one_call(WORKLOAD, STAGE), "float32", None).job()
    left_out = [given[2] for given in kind.asked]
    assert left_out == [("fuse-qkv", "fuse-kv"), (), ()]


def test_a_disk_holds_the_files_of_one_stage_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Path] = []

    def run(self: StageRun, *_: object) -> object:
        assert not any(folder.exists() for folder in seen)
        seen.append(self.folder)
        (self.folder / "weights").write_text("")
        return report(BASE).stages[0]

    monkeypatch.setattr(StageRun, "run", run)
    benching.bench("dit-xl-2-256-tiny", ["eager"])
    assert len(seen) > 1
    assert not seen[0].parent.exists()
