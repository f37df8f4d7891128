"""`graphlab passes`: every installed pass with its kind and its options."""

from __future__ import annotations

import pytest

from graphlab.cli.main import main


def test_passes_are_listed_with_options(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["passes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[0]: line for line in lines if line.strip()}
    assert found["cost"].split()[1] == "analysis"
    assert " stage rewrite " in next(line for line in lines if line.startswith("hoist-loop-invariants"))
    assert any(
        all(part in line for part in ("fold-constants", "limit_mb", "a number of at least 0", "8.0")) for line in lines
    )
    assert any(all(part in line for part in ("apply-weight-mask", "mask", "a path", "must be given")) for line in lines)
