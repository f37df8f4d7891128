"""benchmarks/gpu_measured where there is no GPU: small models on the processor, and what does not come to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_measured import __main__ as command
from benchmarks.gpu_measured import latencies, table
from benchmarks.gpu_measured.rows import ROWS, TINY, Row
from graphlab.kernels.data import Attention


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command wrote of two small calls, in two runs."""
    path = tmp_path_factory.mktemp("measured") / "found.json"
    for names, budget in ((["tiny-llama", "tiny-sd15-last"], "200"), (["tiny-llama"], "0")):
        words = ["--hardware", "h100-sxm", "--device", "cpu", "--json", str(path), "--budget", budget, "--rows", *names]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["gpu_measured", *words])
            command.main()
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def test_every_row_is_measured_or_named_with_a_reason(found: dict[str, Any]) -> None:
    first, second = found["runs"]
    assert [item["row"] for item in first["rows"]] == ["tiny-llama", "tiny-sd15-last"]
    assert first["failed"] == {}
    assert second["rows"] == []
    assert second["failed"] == {"tiny-llama": "no time was left"}
    llama, last = first["rows"]
    assert llama["seconds"].keys() == {"eager"}
    assert all(seconds > 0 for seconds in llama["seconds"]["eager"])
    assert llama["nodes"]["categories"]["linear"]["nodes"] == 15
    assert llama["notes"] == last["notes"] == []
    assert last["nodes"] is None


def test_the_page_has_every_row_and_says_what_is_missing(
    found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROWS", TINY)
    for run in found["runs"]:
        run["gpu"] = "A GPU"
    page = table.markdown(found)
    assert "- run 1: A GPU" in page
    assert "  - tiny-llama: no time was left" in page
    assert "- in no run: tiny-sd15\n" in page
    assert page.count("| tiny-llama | 1 | eager |") == 1
    assert page.count("| tiny-sd15-last | 1 | eager |") == 1


def test_a_child_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    child = command.Child("no-such-row", "cpu")
    with pytest.raises(RuntimeError, match="no-such-row"):
        child.line(60)
    child.end()


def test_a_row_is_what_its_name_says() -> None:
    workload, stage = Row("x", "stable-diffusion-v1-5-tiny", "unet", {"batch": 3}, dtype="float16").found()
    assert (workload.values()["batch"], stage.dtype) == (3, "float16")


def test_blocks_of_the_busiest_multiprocessor() -> None:
    shape = Attention(8192, 8, 16, 16, 40, False, False, "self", "temporal")
    assert latencies.blocks(shape, 132) == 497
    assert latencies.blocks(shape._replace(q=129), 132) == 993


def test_the_file_of_results_is_whole() -> None:
    path = Path(command.__file__).parent / "results" / "h100-sxm.json"
    runs = json.loads(path.read_text())["runs"]
    measured = {item["row"] for run in runs for item in run["rows"]}
    assert {row.name for row in ROWS} == measured
    assert all(len(seconds) >= 1 for run in runs for item in run["rows"] for seconds in item["seconds"].values())
