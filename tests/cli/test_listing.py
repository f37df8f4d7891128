"""`graphlab passes`, `models`, `devices` and `backends`: every one with owner and options, as tables and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphlab.catalogue.data import SCHEMA, Listing
from graphlab.cli.main import main
from graphlab.discovery.owner import Owner
from graphlab.discovery.registry import Broken
from graphlab.models import find_model
from tests.report.schema_keys import DOC, keys

KINDS = ("passes", "models", "devices", "backends")


@pytest.fixture(scope="module")
def lists() -> dict[str, dict[str, Any]]:
    """The four lists as JSON values."""
    from graphlab.catalogue import backends, devices, models, passes

    listings = (module.listing() for module in (passes, models, devices, backends))
    return {listing.kind: listing.to_dict() for listing in listings}


@pytest.mark.parametrize("kind", ["passes", "devices"])
def test_a_list_has_a_page(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved, page = tmp_path / "list.json", tmp_path / "page.html"
    assert main([kind, "--json", str(saved), "--html", str(page)]) == 0
    assert main([kind, "--html", "-"]) == 0
    text = page.read_text(encoding="utf-8")
    assert capsys.readouterr().out.endswith(text)
    assert main(["report", str(saved), "-o", "-"]) == 0
    assert capsys.readouterr().out == text
    assert {"passes": "fuse-attention", "devices": "source of a100-80gb: https://"}[kind] in text


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


@pytest.mark.parametrize("kind", KINDS)
def test_everything_built_in_works_and_says_what_it_is(kind: str, lists: dict[str, dict[str, Any]]) -> None:
    own = [item for item in lists[kind]["plugins"] if item["owner"]["distribution"] == "graphlab"]
    assert own
    assert all(item["help"] and item["kind"] and item["where"].startswith("graphlab.") for item in own)
    assert [item for item in lists[kind]["broken"] if item["owner"]["distribution"] == "graphlab"] == []
    assert [item["name"] for item in own] == sorted(item["name"] for item in own)


def test_options_of_a_model_are_what_set_takes(lists: dict[str, dict[str, Any]]) -> None:
    (model,) = (item for item in lists["models"]["plugins"] if item["name"] == "stable-diffusion-v1-5")
    variables = {variable.name: variable for variable in find_model("stable-diffusion-v1-5").workload().variables}
    assert [option["name"] for option in model["options"]] == list(variables)
    (height,) = (option for option in model["options"] if option["name"] == "height")
    assert (height["type"], height["default"]) == ("int", str(variables["height"].default))
    assert f"a multiple of {variables['height'].multiple_of}" in height["values"]


def test_a_backend_says_whether_it_runs_here(lists: dict[str, dict[str, Any]]) -> None:
    rows = {item["name"]: item for item in lists["backends"]["plugins"]}
    assert (rows["eager"]["runs"], rows["eager"]["why_not"]) == (True, None)
    assert all(item["runs"] is not False or item["why_not"] for item in rows.values())


@pytest.mark.parametrize("kind", KINDS)
def test_json_alone_is_on_standard_output_and_in_files(
    kind: str, lists: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([kind, "--json", "-"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == lists[kind]
    assert kind.capitalize() in printed.err
    assert main([kind, "--json", str(tmp_path / "list.json")]) == 0
    assert (tmp_path / "list.json").read_text() == printed.out
    assert main([kind, "--json", str(tmp_path / "lost" / "list.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


NAMED = {"peak_flops", "sources"}


def test_every_key_is_documented_and_every_documented_key_is_there(lists: dict[str, dict[str, Any]]) -> None:
    broken = Listing("passes", (), (Broken("p", Owner("bad", "1.0"), "p = bad", "it is bad"),)).to_dict()
    section = (
        DOC.read_text().split("# The JSON of `graphlab passes|models|devices|backends --json`")[1].split("\n# ")[0]
    )
    documented = set(re.findall(r"^- `([^`]+)`:", section, flags=re.MULTILINE))
    assert {key for item in (*lists.values(), broken) for key in keys(item, NAMED)} == documented
    assert f"`{SCHEMA}`" in section


@pytest.mark.parametrize("kind", ["models", "devices"])
def test_what_needs_no_torch_imports_none(kind: str) -> None:
    code = f"from graphlab.catalogue.{kind} import listing; import sys; listing(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
