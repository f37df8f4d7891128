"""The export benchmarks' own arithmetic: counts, reasons, groups, shares and what a memory limit does."""

from __future__ import annotations

import sys

import pytest
from onnx import TensorProto, helper

from benchmarks.export_fusion import totals
from benchmarks.export_memory import lower
from benchmarks.export_rivalry.children import reason_of, run_child
from benchmarks.export_rivalry.counting import grouped, operators_of_model
from benchmarks.export_rivalry.makers import FILES, needs
from benchmarks.export_rivalry.race import gemms, share_of_limit
from benchmarks.export_rivals import BASES, Rival, groups, latest, rivals
from benchmarks.export_time import slope

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


def test_operators_count_functions_where_they_are_called() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    body = [helper.make_node("Softmax", ["a"], ["t"]), helper.make_node("Gelu", ["t"], ["b"])]
    function = helper.make_function("own", "twice", ["a"], ["b"], body, [helper.make_opsetid("", 20)])
    nodes = [
        helper.make_node("twice", ["x"], ["u"], domain="own"),
        helper.make_node("twice", ["u"], ["v"], domain="own"),
        helper.make_node("SkipLayerNormalization", ["v", "v", "v"], ["y"], domain="com.microsoft"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), functions=[function])
    counts = operators_of_model(model)
    assert counts == {"Softmax": 2, "Gelu": 2, "com.microsoft::SkipLayerNormalization": 1}
    found = grouped(counts)
    assert (found["softmax"], found["gelu"], found["skip norm"], found["attention"]) == (2, 2, 1, 0)
    assert found["nodes"] == 5


def test_a_skip_rms_norm_is_both_kinds() -> None:
    found = grouped({"com.microsoft::SkipSimplifiedLayerNormalization": 3, "RMSNormalization": 1})
    assert (found["skip norm"], found["RMS norm"]) == (3, 4)


def test_files_name_what_they_are_made_of() -> None:
    assert needs("optimizer-23-99-cpu") == "plain-23"
    assert needs("fusions-20") == "plain-20"
    assert needs("plain-20") is None
    assert needs("graphlab-ort-cpu") is None
    assert {needs(name) for name in FILES} == {None, "plain-20", "plain-23"}


@pytest.mark.parametrize("dtype", sorted(BASES))
def test_the_base_comes_first_and_every_rival_once(dtype: str) -> None:
    found = [rival.name for rival in rivals(dtype)]
    assert found[0] == BASES[dtype]
    assert len(found) == len(set(found))
    assert all(rival.file in (None, *FILES) for rival in rivals(dtype))


def test_groups_hold_everybody_in_order() -> None:
    wanted = [Rival(str(number), "eager") for number in range(7)]
    assert [[rival.name for rival in group] for group in groups(wanted, 3)] == [list("012"), list("345"), ["6"]]


def test_of_a_rival_timed_twice_the_last_contest_counts() -> None:
    first = {"rows": [{"label": "a", "n": 1}, {"label": "b", "n": 2}]}
    second = {"rows": [{"label": "a", "n": 3}]}
    found = latest([first, second])
    assert {name: row["n"] for name, (row, _) in found.items()} == {"a": 3, "b": 2}
    assert found["a"][1] is second


def test_a_share_is_of_the_fastest_product_of_the_same_precision() -> None:
    rates = {"GEMM torch": 50e9, "GEMM MLAS": 100e9, "GEMM torch bfloat16": 400e9}
    assert share_of_limit(160_000_000_000, 2.0, rates, bfloat16=False) == pytest.approx(0.8)
    assert share_of_limit(160_000_000_000, 2.0, rates, bfloat16=True) == pytest.approx(0.2)
    assert share_of_limit(1, 1.0, {}, bfloat16=False) is None
    assert all("bfloat16" in rival.name for rival in gemms({"bfloat16"}))


def test_memory_is_compared_by_the_larger_of_loading_and_calling() -> None:
    first = {"load_peak": 4, "call_peak": 12, "peak": 12, "error": None}
    assert lower(first, {"load_peak": 6, "call_peak": 3, "peak": 6}) == "2.00x"
    assert lower(first, {"load_peak": 4, "call_peak": None, "peak": 8}) == "1.50x"
    killed = {"peak": 9, "error": "killed for memory: it took more"}
    assert lower(killed, {"load_peak": 2, "call_peak": 3, "peak": 3}) == "more than 3.0x"
    assert lower({"peak": 9, "error": "failed"}, {"load_peak": 2, "call_peak": 3, "peak": 3}) == ""
    assert lower({}, {"load_peak": 2, "call_peak": 3, "peak": 3}) == ""


def test_a_slope_is_of_the_nodes_that_came() -> None:
    assert slope((100, 2.0), (300, 2.5)) == "2500"


def test_totals_leave_out_models_without_sites() -> None:
    rows = [
        {"model": "a", "rival": "x", "failed": None, "sites": 4, "operators": {"Attention": 4}, "error": 1e-6},
        {"model": "a", "rival": "y", "failed": None, "operators": {"Attention": 9}, "error": 0.5},
        {"model": "a", "rival": "z", "failed": "killed"},
        {"model": "b", "rival": "y", "failed": None, "operators": {"Attention": 1}, "error": 0.0},
    ]
    assert totals(rows) == {"x": (4, 4, 1, 1), "y": (4, 4, 0, 1), "z": (0, 4, 0, 1)}


def test_the_reason_is_found_under_torchs_advice() -> None:
    text = "foo.ConversionError: Failed. Next steps:\n- report\n\n<class 'ValueError'>: no meta\n\n(See above.)\n"
    assert reason_of(text) == "<class 'ValueError'>: no meta"
    assert (
        reason_of("Traceback\n  File x\nonnx_ir.PassError: An error: why\nbye\n") == "onnx_ir.PassError: An error: why"
    )
    assert reason_of("") == ""


@linux
def test_a_child_is_ended_above_its_limit(tmp_path, monkeypatch) -> None:
    (tmp_path / "hog.py").write_text(
        "import time\nheld = []\nwhile True:\n    held.append(bytearray(b'x' * (16 << 20)))\n    time.sleep(0.02)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run_child("hog", [], limit_gib=0.125, seconds=60)
    assert found.error is not None
    assert found.error.startswith("killed for memory")
    assert found.peak_bytes > 0.1 * (1 << 30)


@linux
def test_a_child_that_fails_or_dawdles_says_so(tmp_path, monkeypatch) -> None:
    (tmp_path / "wrong.py").write_text("raise ValueError('no such thing')\n")
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_child("wrong", []).error == "failed: ValueError: no such thing"
    assert run_child("slow", [], seconds=0.3).error == "it was not done in the time there was"
