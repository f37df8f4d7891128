"""my_plugin, installed by pip: the command lists and uses its analysis, rewrite, model, device and backend."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.install import MY_PLUGIN, Ran, distribution, graphlab, install

OWNER = {"distribution": "my-plugin", "version": "1.2.0"}


LISTS = ("passes", "models", "devices", "backends")
ANALYZE = (
    "analyze",
    "mine",
    "--device",
    "TOY-GPU",
    "--static",
    "--set",
    "tokens=4",
    "--pass",
    "written-bytes,least=300",
)
REWRITE = ("rewrite", "my-decoder", "--static", "--pass", "drop-double-relu", "--verify")
BENCH = ("bench", "my-decoder", "--backend", "walker,checked=true", "--rounds", "1", "--weights", "random:0")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where my_plugin is installed: once, for it takes seconds."""
    target = tmp_path_factory.mktemp("site")
    install(MY_PLUGIN, target, tmp_path_factory.mktemp("scratch"))
    return target


@pytest.fixture(scope="session")
def ran(site: Path) -> dict[str, Ran]:
    """What came of every command beside it: one process, since most of the time of a command is importing torch."""
    commands = [(kind, "--json", "-") for kind in LISTS] + [(*c, "--json", "-") for c in (ANALYZE, REWRITE, BENCH)]
    return dict(zip((*LISTS, "analyze", "rewrite", "bench"), graphlab(*commands, site=site), strict=True))


def answer(ran: Ran) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    document: dict[str, Any] = json.loads(ran.out)
    return document


EXPECTED = {
    "passes": {"drop-double-relu": ("rewrite", []), "written-bytes": ("analysis", ["least"])},
    "models": {"my-decoder": ("language", ["batch", "tokens", "steps"])},
    "devices": {"toy-gpu": ("gpu", [])},
    "backends": {"walker": ("backend", ["dtype", "threads", "checked"])},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_the_lists_name_it(ran: dict[str, Ran], kind: str) -> None:
    listed = answer(ran[kind])
    assert listed["broken"] == []
    own = [item for item in listed["plugins"] if item["owner"] == OWNER]
    assert {item["name"]: (item["kind"], [o["name"] for o in item["options"]]) for item in own} == EXPECTED[kind]
    assert all(item["help"] and item["where"].startswith("my_plugin.") for item in own)
    assert {item["owner"]["distribution"] for item in listed["plugins"]} == {"graphlab", "my-plugin"}
    if kind == "backends":
        assert (own[0]["runs"], own[0]["why_not"]) == (True, None)


def test_model_device_and_analysis_are_used(ran: dict[str, Ran]) -> None:
    report = answer(ran["analyze"])
    assert (report["workload"], report["device"]) == ("my-decoder", "toy-gpu")
    (stage,) = report["stages"]
    assert stage["flops_total"] == 3 * 2 * (2 * 4 * 32 * 32)
    # 4 tokens of 32 float32 are 512 bytes: two linear layers, four relus, two sums
    (found,) = stage["analyses"]
    assert (found["name"], found["owner"]) == ("written-bytes,least=300", "my-plugin 1.2.0")
    assert list(found["facts"].values()) == [512] * 8
    assert "layers: written-bytes,least=300" in ran["analyze"].err


def test_the_rewrite_is_used(ran: dict[str, Ran]) -> None:
    (stage,) = answer(ran["rewrite"])["stages"]
    assert [row["changes"] for row in stage["passes"] if row["name"] == "drop-double-relu"] == [2]
    assert stage["verification"]["complete"]


def test_the_backend_is_timed_in_a_process_of_its_own(ran: dict[str, Ran]) -> None:
    rows = {row["label"]: row for row in answer(ran["bench"])["stages"][0]["candidates"]}
    assert rows["walker,checked=True"]["status"] == "timed"
    assert rows["walker,checked=True"]["check"]["worst_error"] == 0


def test_a_broken_and_a_clashing_distribution_beside_it_stop_nobody(site: Path, tmp_path: Path) -> None:
    points = "[graphlab.passes]\nlost = broken_of_all\n[graphlab.models]\nlost = broken_of_all\n"
    points += "[graphlab.devices]\nlost = broken_of_all\n[graphlab.backends]\nlost = broken_of_all\n"
    distribution(tmp_path, "broken-plugin", {"broken_of_all.py": "raise OSError('no library')\n"}, points)
    text = (MY_PLUGIN / "my_plugin" / "written_bytes.py").read_text()
    clashing = "[graphlab.passes]\nwritten-bytes = clashing_pass\n"
    distribution(tmp_path, "clashing-plugin", {"clashing_pass.py": text}, clashing)
    both = Path(f"{tmp_path}{os.pathsep}{site}")
    passes, rewrite, clash = graphlab(
        ("passes", "--json", "-"),
        ("rewrite", "my-decoder", "--static", "--json", "-", "--pass", "drop-double-relu"),
        ("analyze", "mine", "--static", "--device", "toy-gpu", "--pass", "written-bytes"),
        site=both,
    )
    assert [(item["name"], item["owner"]["distribution"]) for item in answer(passes)["broken"]] == [
        ("lost", "broken-plugin"), ("written-bytes", "clashing-plugin"), ("written-bytes", "my-plugin"),
    ]  # fmt: skip
    (stage,) = answer(rewrite)["stages"]
    assert [row["changes"] for row in stage["passes"]] == [2]
    assert (clash.code, clash.out, clash.err.count("\n")) == (1, "", 1)
    assert "clashing-plugin 1.0" in clash.err
    assert "my-plugin 1.2.0" in clash.err
