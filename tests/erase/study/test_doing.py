"""Runs of the study on tiny bases: rows, interruptions, and pieces of a part."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.erasure.study import checkpoints, store, working
from benchmarks.erasure.study.__main__ import main
from benchmarks.erasure.study.doing import Setting, do
from benchmarks.erasure.study.runs import Run
from benchmarks.erasure.study.store import read, rows_of
from benchmarks.erasure.study.working import work_off
from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.attacks import AttackConfig
from graphlab.erase.methods import effort
from graphlab.erase.methods.effort import Effort
from graphlab.erase.metrics.attack import Learning
from graphlab.erase.worlds.base_file import save_base
from graphlab.erase.worlds.shipped import FILES
from tests.erase.evaluation.small import FEW, small_base

EFFORT = Effort(boundary=-1.0, evaluations=1, batch=1, steps=3, pool=1)
ATTACKS = AttackConfig(
    relearning=Learning(steps=1, rate=1e-3, batch=1),
    inversion=Learning(steps=1, rate=0.1, batch=1),
    measured=2,
    restarts=1,
    images=3,
    steps=1,
)
ESD = Run("digits", "tune", "digits-epsilon-0", ("seven",), "esd", 0, 1e-3)
UCE = Run("digits", "report", "digits-epsilon-0", ("three",), "uce", 0)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("files")
    save_base(small_base(), folder / "digits-epsilon-0.safetensors")
    save_base(small_base(seed=1), folder / "digits-without-three-0.safetensors")
    shutil.copy(FILES / "judge-digits.safetensors", folder)
    return Setting(folder, folder, {"digits": EFFORT, "world": EFFORT}, replace(FEW, bootstrap=5), ATTACKS)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of four iterations with a checkpoint each, where it does not matter how far apart they are."""
    monkeypatch.setattr(effort, "SHARES", (4, 3, 2, 1))


def timeless(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_training_run_has_a_row_a_checkpoint(tmp_path: Path, setting: Setting) -> None:
    rows = do(ESD, 1e-3, tmp_path, setting)
    assert [row["iteration"] for row in rows] == [1, 3, 9, 27]
    assert [row["evaluations"] for row in rows] == [1, 3, 9, 27]
    assert not any("report_acc_e_unseen" in row for row in rows), "tuning reads the endpoint alone"
    assert {row["rate"] for row in rows} == {"0.001"}
    assert {row["report_acc_e_images"] for row in rows} == {6}
    assert {row["structure_images"] for row in rows} == {6}
    assert not (tmp_path / "work" / ESD.key).exists()


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("crossed", [0, 2, None])
def test_what_is_kept_is_drawn_where_a_table_reads_it(
    tmp_path: Path, setting: Setting, monkeypatch: pytest.MonkeyPatch, crossed: int | None
) -> None:
    """Rows on both sides of the endpoint and at the end have all that evaluating every checkpoint gives."""
    run = replace(ESD, stage="report", concepts=("three",))
    monkeypatch.setattr(checkpoints, "bracket", lambda values: set(range(4)))
    every = do(run, 1e-3, tmp_path / "every", setting)
    assert [("report_acc_e_unseen" in row) for row in every] == [False, False, False, True]
    found = set() if crossed is None else {crossed - 1, crossed} - {-1}
    monkeypatch.setattr(checkpoints, "bracket", lambda values: found)
    some = do(run, 1e-3, tmp_path / "some", setting)
    whole = {index for index, row in enumerate(some) if "report_worst" in row}
    assert whole == found | {3}
    for index, (row, other) in enumerate(zip(timeless(some), timeless(every), strict=True)):
        assert row == (other if index in whole else {name: other[name] for name in row})
        assert {"cnn_acc_e", "report_acc_e", "structure", "report_worst_before"} <= set(row)


@pytest.mark.usefixtures("brief")
def test_a_run_that_was_cut_off_ends_with_the_same_rows(
    tmp_path: Path, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = do(ESD, 1e-3, tmp_path / "whole", setting)

    def stop(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "draw_plan", stop)
        with pytest.raises(KeyboardInterrupt):
            do(ESD, 1e-3, tmp_path / "cut", setting)
    assert (tmp_path / "cut" / "work" / ESD.key / "after-4.safetensors").exists()
    assert timeless(do(ESD, 1e-3, tmp_path / "cut", setting)) == timeless(whole)


@pytest.mark.parametrize(
    ("method", "concepts", "stage", "rows"),
    [
        ("uce", ("three",), "report", 4),
        ("negative-prompt", ("three",), "report", 1),
        ("retrained", ("three",), "report", 1),
        ("uce", ("three", "five"), "several", 2),
    ],
)
def test_methods_without_training(
    tmp_path: Path, setting: Setting, method: str, concepts: tuple[str, ...], stage: str, rows: int
) -> None:
    run = Run("digits", stage, "digits-epsilon-0", concepts, method, 0)  # type: ignore[arg-type]  # a literal
    found = do(run, None, tmp_path, setting)
    assert len(found) == rows
    assert {row["concept"] for row in found} == set(concepts)
    assert "report_acc_e_unseen" in found[-1]


def test_attacks_are_on_the_base_and_on_what_was_made_of_it(tmp_path: Path, setting: Setting) -> None:
    for method in ("base", "retrained", "uce"):
        run = Run("attacks", "attack", "digits-epsilon-0", ("three",), method, 0)
        (row,) = do(run, None, tmp_path, setting)
        assert row["inverted_images"] == 3
        assert row["relearning_images"] == 2
    with pytest.raises(EraseError, match="no weights of its own"):
        do(Run("attacks", "attack", "digits-epsilon-0", ("three",), "negative-prompt", 0), None, tmp_path, setting)


@pytest.mark.usefixtures("brief")
def test_a_part_is_worked_off_in_pieces_without_double_rows(
    tmp_path: Path, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (working, store):
        monkeypatch.setattr(module, "runs", lambda part: (ESD, UCE))
    assert work_off("digits", tmp_path, setting, workers=1, budget=0.0) == 2
    assert read(tmp_path / "digits.csv") == []
    said: list[str] = []
    assert work_off("digits", tmp_path, setting, workers=1, budget=600.0, tell=said.append) == 0
    rows = read(tmp_path / "digits.csv")
    assert [row["method"] for row in rows] == ["esd"] * 4 + ["uce"] * 4
    assert len(said) == 2
    kept = (tmp_path / "digits.csv").read_bytes()
    assert work_off("digits", tmp_path, setting, workers=1, budget=600.0) == 0
    assert (tmp_path / "digits.csv").read_bytes() == kept
    assert rows_of(tmp_path, UCE) == [{name: row[name] for name in rows_of(tmp_path, UCE)[0]} for row in rows[4:]]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path), "--read"]) == 1
    assert "holds no rows" in capsys.readouterr().err
