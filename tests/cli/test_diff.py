"""`graphlab diff`: exit codes, what is printed in what order, and where output goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphlab.cli.main import main
from tests.diffing.samples import ALL, BENCH, PAIR
from tests.report.sample import HOSTILE, report

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*args: object) -> tuple[int, str, str]:
        code = main(["diff", *map(str, args)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return go


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """PAIR; the same with 1 % more FLOP in unet, and a call without a rule; at another height; a report of bench."""
    more = replace(PAIR, stages=(replace(PAIR.stages[0], flops_total=4_242_000), PAIR.stages[1]))
    other = replace(PAIR, bindings={**PAIR.bindings, "height": 128})
    found: dict[str, Any] = {"a": PAIR, "more": more, "unknown": report(), "other": other, "bench": BENCH}
    for name, item in found.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(item.to_dict()))
    return {name: tmp_path / f"{name}.json" for name in found}


@pytest.mark.parametrize(
    ("second", "rules", "code"),
    [
        ("a", [], 0),
        ("more", [], 0),
        ("a", ["flops > 0%"], 0),
        ("more", ["unet.flops > +1%"], 0),
        ("more", ["unet.flops > +0.9%"], 3),
        ("more", ["bytes > 0%", "unet.flops > +0.9%"], 3),
        ("unknown", ["flops > +50%"], 4),
        ("unknown", ["flops > +50%", "uncounted > 0"], 3),
        ("bench", [], 1),
        ("more", ["uned.flops > 1"], 1),
        ("more", ["flosp > 1"], 2),
        ("more", ["flops > 3GiB"], 2),
    ],
)
def test_exit_codes(run: Run, files: dict[str, Path], second: str, rules: list[str], code: int) -> None:
    options = [part for rule in rules for part in ("--fail-if", rule)]
    found, out, err = run(files["a"], files[second], *options)
    assert found == code
    assert ("VIOLATED" in out, "UNKNOWN" in out) == (code == 3, code == 4 or "flops > +50%" in rules)
    assert (err == "") == (code in (0, 3, 4))
    if code == 1:
        assert err.startswith("error: ")
        assert err.count("\n") == 1


def test_a_misspelled_rule_is_said_before_anything_is_read(run: Run) -> None:
    code, _, err = run("no-such-model", "no-such-model", "--fail-if", "unet.flosp > 1")
    assert code == 2
    assert "did you mean 'flops'" in " ".join(err.split())


def test_nothing_differs(run: Run, files: dict[str, Path]) -> None:
    code, out, _ = run(files["a"], files["a"])
    assert (code, "nothing differs" in out, "SETTINGS" in out) == (0, True, False)


def test_settings_come_first_and_loudly(run: Run, files: dict[str, Path]) -> None:
    _, out, _ = run(files["a"], files["other"], "--fail-if", "flops > -1%")
    lines = out.splitlines()
    loud = next(index for index, line in enumerate(lines) if line.startswith("SETTINGS DIFFER"))
    assert lines[loud + 3].split() == ["height", "64", "128"]
    assert all("FLOP" not in line for line in lines[:loud])
    assert "(settings differ)" in lines[-1]


def test_json_and_markdown(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    _, out, err = run(files["a"], files["more"], "--json", "-", "--markdown", tmp_path / "d.md", "--by", "role")
    data = json.loads(out)
    assert (data["schema"], data["same"], data["outcome"]) == ("graphlab.diff/1", False, "held")
    change = next(item for item in data["totals"] if item["quantity"] == "flops")
    assert (change["a"], change["b"], change["absolute"]) == (4_242_000, 4_284_000, 42_000)
    assert "unet: one generation" in err
    text = (tmp_path / "d.md").read_text()
    assert "| flops | 4.2 MFLOP | 4.242 MFLOP | +42 kFLOP | +1 % |" in text
    assert (run(files["a"], files["more"], "--json", "-")[1]) == out


def test_hostile_names_are_shown_and_not_obeyed(run: Run, tmp_path: Path, files: dict[str, Path]) -> None:
    bad = replace(PAIR, stages=(replace(PAIR.stages[0], name=HOSTILE), PAIR.stages[1]))
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(bad.to_dict()))
    _, out, _ = run(files["a"], path, "--markdown", tmp_path / "h.md")
    assert "[red]block|0`*<b>\\x1b[31m" in out
    assert "\x1b" not in out
    assert "<b>" not in (tmp_path / "h.md").read_text()


@pytest.mark.parametrize("kind", list(ALL))
def test_every_kind_of_report_is_drawn(run: Run, tmp_path: Path, kind: str) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    data = ALL[kind].to_dict()
    first.write_text(json.dumps(data))
    second.write_text(json.dumps(_doubled(json.loads(json.dumps(data)))))
    code, out, _ = run(first, second, "--markdown", tmp_path / "d.md")
    assert code == 0
    assert "+100 %" in out or "0.500" in out
    assert (tmp_path / "d.md").read_text().startswith("# ")


def _doubled(value: Any, key: str = "") -> Any:
    """`value` with every number that is a cost twice as large."""
    if isinstance(value, dict):
        return {name: _doubled(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_doubled(item, key) for item in value]
    costs = ("flops", "seconds", "samples", "low", "high", "bytes")
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return 2 * value if numeric and any(name in key for name in costs) else value


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--depth", "3"], "only --by module has a depth"),
        (["--set", "height"], "is not NAME=VALUE"),
        (["--by", "colour"], "colour"),
        (["--json", "-", "--markdown", "-"], "both write to standard output"),
    ],
)
def test_usage(run: Run, files: dict[str, Path], args: list[str], message: str) -> None:
    code, _, err = run(files["a"], files["a"], *args)
    assert code == 2
    assert message in " ".join(err.split())
