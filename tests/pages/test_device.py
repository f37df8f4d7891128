"""The page of a device file: rates with their sources, measured operators over their work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from graphlab.calibration.data import TABLES
from graphlab.cli.main import main
from graphlab.hardware import load_device
from graphlab.pages.device import device_document, operators_figure
from graphlab.report.chart_reading import check_chart
from tests.calibration.synthetic import calibration

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_gpu.toml"


def test_rates_stand_beside_their_sources() -> None:
    device = load_device("a100-80gb")
    (table,) = device_document(device).sections[0].tables
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["memory"][0] == "2.039 TB/s"
    assert rows["contractions in float16"][0] == "312 TFLOP/s"
    assert all(source.startswith("https://") for _, source in rows.values())
    unsourced = device_document(replace(device, sources={})).sections[0].tables[0]
    assert {row[2] for row in unsourced.rows} == {"not told"}


def test_every_measured_time_is_in_the_figure() -> None:
    found = calibration()
    figure = operators_figure(found)
    assert len(figure.rows) == sum(len(table.points) for table in found.tables.values())
    assert {row["kind"] for row in figure.rows} == {"bytes", "elements", "multiply-adds"}
    row = next(row for row in figure.rows if row["operator"] == "conv_1x1")
    sizes = dict(part.split() for part in str(row["sizes"]).split(", "))
    assert list(sizes) == list(TABLES["conv_1x1"])
    assert row["work"] == int(sizes["m"]) * int(sizes["n"]) * int(sizes["k"])  # m holds the images already
    assert row["rate"] == pytest.approx(float(row["work"] or 0) / float(row["seconds"] or 1))
    assert figure.to_svg() is not None
    check_chart(json.loads(json.dumps(figure.to_dict()))["chart"], "chart")


def test_a_file_of_ones_own_has_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(EXAMPLE), "-o", "-"]) == 0
    assert "contractions in float16" in capsys.readouterr().out
    (tmp_path / "wrong.toml").write_text("title = 3")
    assert main(["report", str(tmp_path / "wrong.toml"), "-o", "-"]) == 1
    assert main(["report", str(tmp_path / "none.toml"), "-o", "-"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "wrong.toml: kind is missing" in said[0]
    assert "cannot read the device file" in said[1]
