"""my_plugin, installed by pip: the command lists and uses its analysis, rewrite, model, device and backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.install import MY_PLUGIN, Ran, graphlab, install

OWNER = {"distribution": "my-plugin", "version": "1.2.0"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    install(MY_PLUGIN, target, tmp_path_factory.mktemp("scratch"))
    return target


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
def test_the_lists_name_it(site: Path, kind: str) -> None:
    listed = answer(graphlab(kind, "--json", "-", site=site))
    assert listed["broken"] == []
    own = [item for item in listed["plugins"] if item["owner"] == OWNER]
    assert {item["name"]: (item["kind"], [o["name"] for o in item["options"]]) for item in own} == EXPECTED[kind]
    assert all(item["help"] and item["where"].startswith("my_plugin.") for item in own)
    assert {item["owner"]["distribution"] for item in listed["plugins"]} == {"graphlab", "my-plugin"}
    if kind == "backends":
        assert (own[0]["runs"], own[0]["why_not"]) == (True, None)


def test_model_device_and_analysis_are_used(site: Path) -> None:
    args = ("analyze", "mine", "--device", "TOY-GPU", "--static", "--set", "tokens=4")
    ran = graphlab(*args, "--pass", "written-bytes,least=300", "--json", "-", site=site)
    report = answer(ran)
    assert (report["workload"], report["device"]) == ("my-decoder", "toy-gpu")
    (stage,) = report["stages"]
    assert stage["flops_total"] == 3 * 2 * (2 * 4 * 32 * 32)
    # 4 tokens of 32 float32 are 512 bytes: two linear layers, four relus, two sums
    (found,) = stage["analyses"]
    assert (found["name"], found["owner"]) == ("written-bytes,least=300", "my-plugin 1.2.0")
    assert list(found["facts"].values()) == [512] * 8
    assert "layers: written-bytes,least=300" in ran.err


def test_the_rewrite_is_used(site: Path) -> None:
    args = ("rewrite", "my-decoder", "--static", "--pass", "drop-double-relu", "--verify", "--json", "-")
    (stage,) = answer(graphlab(*args, site=site))["stages"]
    assert [row["changes"] for row in stage["passes"] if row["name"] == "drop-double-relu"] == [2]
    assert stage["verification"]["complete"]


def test_the_backend_is_timed_in_a_process_of_its_own(site: Path) -> None:
    args = ("bench", "my-decoder", "--backend", "walker,checked=true", "--rounds", "1")
    report = answer(graphlab(*args, "--weights", "random:0", "--json", "-", site=site))
    rows = {row["label"]: row for row in report["stages"][0]["candidates"]}
    assert rows["walker,checked=True"]["status"] == "timed"
    assert rows["walker,checked=True"]["check"]["worst_error"] == 0
