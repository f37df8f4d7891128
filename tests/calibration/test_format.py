"""The `[calibration]` of a device file: read back as written, and every wrong number named."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.calibrating.device import device_text
from graphlab.calibration.data import Calibration
from graphlab.calibration.format import calibration_from, calibration_text
from graphlab.errors import DeviceFileError
from graphlab.hardware import load_device
from tests.calibration.synthetic import calibration, device


def read(found: Calibration) -> Calibration:
    return calibration_from(tomllib.loads(calibration_text(found))["calibration"], "x.toml")


@given(st.floats(1e-9, 1e3))
def test_round_trip(scale: float) -> None:
    known = calibration(lambda table, sizes: scale * (1 + len(table) + sum(sizes)))
    assert read(known) == known


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_machine_may_be_named(text: str) -> None:
    from dataclasses import replace

    known = replace(calibration(), machine=text)
    assert read(known) == known


def test_a_device_file_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "mind.toml"
    path.write_text(device_text(device()))
    found = load_device(path)
    assert found.calibration == calibration()
    assert found.peak_flops == device().peak_flops


def put(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        place: Any = table
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def drop(*keys: str | int) -> Callable[[dict[str, Any]], None]:
    def change(table: dict[str, Any]) -> None:
        place: Any = table
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


WRONG = [
    ("missing-key", drop("threads"), "calibration.threads is missing"),
    ("missing-call", drop("calls", "view"), "calibration.calls.view is missing"),
    ("missing-table", drop("tables", "linear"), "calibration.tables.linear is missing"),
    ("missing-point", drop("tables", "linear", 0), "calibration.tables.linear has no point at m 1, n 4, k 4"),
    ("no-points", put("tables", "add", value=[]), "calibration.tables.add has no points"),
    ("short-row", put("tables", "add", 0, value=[256]), r"calibration.tables.add\[0\]"),
    ("repeated-row", put("tables", "add", 1, value=[256, 1.0]), "repeats the sizes"),
    ("negative-seconds", put("tables", "add", 0, value=[256, -1.0]), "expected a finite number above 0"),
    ("zero-seconds", put("tables", "add", 0, value=[256, 0]), "expected a finite number above 0"),
    ("not-a-number", put("tables", "add", 0, value=[256, float("nan")]), "expected a finite number above 0"),
    ("infinite", put("calls", "add", value=float("inf")), "calibration.calls.add"),
    ("negative-size", put("tables", "add", 0, value=[-256, 1.0]), "expected a whole number of at least 1"),
    ("fractional-size", put("tables", "add", 0, value=[256.5, 1.0]), "expected a whole number of at least 1"),
    ("true-as-size", put("rounds", value=True), "calibration.rounds"),
    ("text-as-number", put("fault_seconds_per_byte", value="1"), "calibration.fault_seconds_per_byte"),
    ("number-as-text", put("machine", value=3), "calibration.machine"),
    ("unknown-key", put("speed", value=1), "unknown key 'calibration.speed'"),
    ("unknown-table", put("tables", "lineal", value=[[1, 1.0]]), "unknown key 'calibration.tables.lineal'.*linear"),
    ("huge-integer", put("tables", "add", 0, value=[256, 10**400]), "seconds"),
    ("huge-count", put("threads", value=10**20), "calibration.threads"),
    ("unknown-dtype", put("dtype", value="int8"), "calibration.dtype is 'int8' .*float32"),
    ("tables-as-list", put("tables", value=[]), "calibration.tables is not a table"),
]


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_named(change: Callable[[dict[str, Any]], None], message: str) -> None:
    table = tomllib.loads(calibration_text(calibration()))["calibration"]
    change(table)
    with pytest.raises(DeviceFileError, match=message) as caught:
        calibration_from(table, "x.toml")
    assert str(caught.value).startswith("x.toml: ")


def test_a_device_file_refuses_a_calibration_that_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        'title = "t"\nkind = "cpu"\nmemory_bytes = 1_000_000\nmemory_bandwidth = 1e9\ncalibration = 3\n'
        "[peak_flops]\nfloat32 = 1e9\n"
    )
    with pytest.raises(DeviceFileError, match="calibration"):
        load_device(path)
