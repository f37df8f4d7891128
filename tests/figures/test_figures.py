"""What every figure promises: rows that match the columns, finite numbers, notes where it is empty, a picture."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from graphlab.characterization.data import Characterization
from graphlab.errors import UnknownNameError
from graphlab.figures.registry import FIGURES, check_figures, figure, figures
from graphlab.report.chart_reading import check_chart
from graphlab.report.figure import Figure

SWEPT = ["length-by-size", "image-size", "score-law", "attention-frames"]
OWN = [name for name in FIGURES if name not in (*SWEPT, "measured")]


def checked(made: Figure, name: str) -> None:
    keys = {column.key for column in made.columns}
    assert made.name == name
    assert len(keys) == len(made.columns)
    for row in made.rows:
        assert set(row) == keys
        for value in row.values():
            assert not isinstance(value, float) or math.isfinite(value)
    units = {column.key: column.unit for column in made.columns}
    counts = [row[key] for row in made.rows for key, unit in units.items() if unit in ("B", "FLOP", "s")]
    assert all(isinstance(value, (int, float)) and value >= 0 for value in counts if value is not None)


def drawn(made: Figure, capfd: pytest.CaptureFixture[str]) -> str:
    svg = made.to_svg()
    assert svg is not None
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out == ""
    return svg


@pytest.mark.parametrize("name", OWN)
def test_own_size(suite: Characterization, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    made = figure(name, suite)
    checked(made, name)
    assert made.rows
    svg = drawn(made, capfd)
    assert svg.startswith("<svg")
    assert "NaN" not in svg
    assert made.chart is not None
    assert made.chart["description"]


@pytest.mark.parametrize("name", [name for name in SWEPT if name != "attention-frames"])
def test_swept(swept: Characterization, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    made = figure(name, swept)
    checked(made, name)
    assert {row["model"] for row in made.rows} == {"stable-diffusion-xl-tiny", "amused-256-tiny"}
    assert "llama-2-7b-tiny has no image size to change" in made.notes
    assert "NaN" not in drawn(made, capfd)


@pytest.mark.parametrize("name", SWEPT)
def test_no_sweeps(suite: Characterization, name: str) -> None:
    made = figure(name, suite)
    assert made.rows == ()
    assert made.to_svg() is None
    assert "other sizes are not worked out: sweeps are switched off" in made.notes


@pytest.mark.parametrize("name", list(FIGURES))
def test_empty_suite_says_so(suite: Characterization, name: str) -> None:
    empty = Characterization(suite.hardware, suite.model, ())
    made = figure(name, empty)
    checked(made, name)
    assert made.rows == () or name == "roofline"
    assert made.to_svg() is None
    if name not in ("breakdown", "fused-speedup", "roofline"):
        assert made.notes


@pytest.mark.parametrize("name", FIGURES)
def test_a_saved_report_is_read_with_every_chart(swept: Characterization, suite: Characterization, name: str) -> None:
    """Charts of the figures have no key, type, expression or format but those that a saved report may have."""
    made = figure(name, swept if name in SWEPT else suite)
    assert made.rows or name in ("measured", "attention-frames")
    check_chart(json.loads(json.dumps(made.to_dict()))["chart"], name)


@pytest.mark.parametrize("name", OWN)
def test_csv_holds_every_row(suite: Characterization, name: str) -> None:
    made = figure(name, suite)
    read = list(csv.DictReader(io.StringIO(made.to_csv())))
    written = [{key: "" if value is None else str(value) for key, value in row.items()} for row in made.rows]
    assert read == written


def test_names(suite: Characterization) -> None:
    made = figures(suite, ["pareto", "breakdown", "pareto"])
    assert [item.name for item in made] == ["pareto", "breakdown"]
    check_figures(None)
    with pytest.raises(UnknownNameError) as caught:
        figure("rooflines", suite)
    assert "did you mean 'roofline'" in str(caught.value)
