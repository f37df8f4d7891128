"""Runs of the study on tiny bases: rows, interruptions, and pieces of a part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.erasure.study import doing, store, working
from benchmarks.erasure.study.__main__ import main
from benchmarks.erasure.study.doing import Setting, do
from benchmarks.erasure.study.runs import Run
from benchmarks.erasure.study.store import read, rows_of
from benchmarks.erasure.study.working import work_off
from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.attacks import AttackConfig
from graphlab.erase.methods.effort import Effort
from graphlab.erase.metrics.attack import Learning
from graphlab.erase.worlds.base_file import save_base
from graphlab.erase.worlds.cnn_judge import save_judge, train_judge
from graphlab.erase.worlds.known import world_of
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
ANT = Run("digits", "tune", "digits-epsilon-0", ("seven",), "esd", 0, 1e-3)
UCE = Run("digits", "report", "digits-epsilon-0", ("three",), "uce", 0)


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("files")
    save_base(small_base(), folder / "digits-epsilon-0.safetensors")
    save_base(small_base(seed=1), folder / "digits-without-three-0.safetensors")
    save_judge(train_judge(world_of("digits"), steps=60), folder / "judge-digits.safetensors")
    return Setting(folder, folder, {"digits": EFFORT, "world": EFFORT}, replace(FEW, bootstrap=5), ATTACKS)


def timeless(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_training_run_has_a_row_a_checkpoint(tmp_path: Path, setting: Setting) -> None:
    rows = do(ANT, 1e-3, tmp_path, setting)
    assert [row["iteration"] for row in rows] == [1, 3, 9, 27]
    assert [row["evaluations"] for row in rows] == [1, 3, 9, 27]
    assert [("report_acc_e_unseen" in row) for row in rows] == [False, False, False, True]
    assert {row["rate"] for row in rows} == {"0.001"}
    assert {row["report_acc_e_images"] for row in rows} == {6}
    assert {row["report_acc_p_images"] for row in rows} == {18}
    assert not (tmp_path / "work" / ANT.key).exists()
    assert timeless(do(ANT, 1e-3, tmp_path, setting)) == timeless(rows)


def test_a_run_that_was_cut_off_ends_with_the_same_rows(
    tmp_path: Path, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = do(ANT, 1e-3, tmp_path / "whole", setting)

    def stop(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(doing, "evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            do(ANT, 1e-3, tmp_path / "cut", setting)
    assert (tmp_path / "cut" / "work" / ANT.key / "after-27.safetensors").exists()
    assert timeless(do(ANT, 1e-3, tmp_path / "cut", setting)) == timeless(whole)


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


def test_a_part_is_worked_off_in_pieces_without_double_rows(
    tmp_path: Path, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (working, store):
        monkeypatch.setattr(module, "runs", lambda part: (ANT, UCE))
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
