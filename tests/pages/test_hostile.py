"""`graphlab report` on reports that were edited, cut off or made to harm: a sound page, or one line that says why."""

from __future__ import annotations

import copy
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import graphlab.report.html.blocks
import graphlab.report.html.page
from graphlab.cli.main import main
from graphlab.pages.saved import saved_document, saved_page
from graphlab.report import report_file
from graphlab.report.decoding import ReportFileError
from graphlab.report.html import to_html
from tests.pages.samples import DATA
from tests.report.test_html import Tree, walk

WRONG = (None, "x", [], -1, {})
SIGNED = re.compile(
    r"bindings\.\w+|(stages\.\d+\.)?scaling\.\w+\.exponent|.*difference_interval\.(low|high)|figures\.\d+\.rows\..*"
    r"|masks\.\d+\.log_snr\.\d|arguments\..*|.*drift\.\w+\.\d+\.(low|high)|(evaluations\.\d+\.)?structure\..*"
    r"|.*distance\.\w+\.(value|low|high)|judged\..*|.*config\.(edges\.\d+|guidance)|stages\.\d+\.calls\.\d+\.bindings\.\w+"
    r"|config\..*|seeds\..*|figures\.\d+\.chart\..*|.*\.facts(\..*)?"
)
"""What may be below 0, or is what a user, an analysis or a chart wrote."""
HARM = (
    "</script><script>document.title='broken'</script>",
    "<img src=x onerror=\"document.title='broken'\">",
    "\u202egnp.exe \u2066\u200f\u2028",
    "\x00\x07\x1b[31m\ud800",
    "x" * 10_000,
    "--> ]]> {{constructor}} ${1} `\"' & &amp; \\u003c",
)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(DATA[name]()))
    return found


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything in `value`, of the first two items of a list."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def at(data: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def changed(data: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(data)
    at(made, path[:-1])[path[-1]] = value
    return made


def page_of(tmp_path: Path, data: Any) -> Any:
    """The page of `data`, None where it is refused; every other error passes through."""
    path = tmp_path / "report.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    try:
        return saved_document(path)
    except ReportFileError:
        return None


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without pictures and the library that draws them, which take their time."""
    monkeypatch.setattr(graphlab.report.html.blocks, "still_picture", lambda figure: None)
    monkeypatch.setattr(graphlab.report.html.page, "plotting_library", lambda: "")


@pytest.mark.parametrize("name", [name for name in DATA if name != "analyze-without-device"])
def test_any_value_of_another_type_is_refused_or_makes_a_sound_page(name: str, tmp_path: Path, undrawn: None) -> None:
    """Every place gets one wrong value, in turn; a number below 0 is refused, unless it is worked out anew anyway."""
    data, own = sample(name), page_of(tmp_path, sample(name))
    refused = 0
    for number, path in enumerate(places(data)):
        value, where = WRONG[number % len(WRONG)], ".".join(map(str, path))
        made = page_of(tmp_path, changed(data, path, value))
        refused += made is None
        if made is not None and value == -1:
            assert made == own or SIGNED.fullmatch(where), where
        if made is not None and number % 5 == 0:
            assert not re.search(r"\b(None|nan)\b", Tree(to_html(made)).root.all("main")[0].text), where
    assert refused > 10


def harmed(tmp_path: Path, data: dict[str, Any], texts: list[tuple[str | int, ...]]) -> dict[str, Any]:
    """`data` with HARM for every one of `texts` that may be any text: others have one of a few words."""
    made = data
    for number, path in enumerate(texts):
        made = changed(made, path, HARM[(number + len(path)) % len(HARM)])
    if page_of(tmp_path, made) is not None:
        return made
    if len(texts) == 1:
        return data
    half = len(texts) // 2
    return harmed(tmp_path, harmed(tmp_path, data, texts[:half]), texts[half:])


@pytest.mark.parametrize("name", [name for name in DATA if name != "analyze-without-device"])
def test_names_that_mean_harm_are_text(name: str, tmp_path: Path) -> None:
    data = sample(name)
    texts = [path for path in places(data) if isinstance(at(data, path), str) and path[-1] != "schema"]
    texts = [path for path in texts if "chart" not in path]  # tests/report/test_chart_reading.py
    path = tmp_path / "report.json"
    path.write_text(json.dumps(harmed(tmp_path, data, texts)), encoding="utf-8")
    text = saved_page(path)
    assert any(part in text for part in ("onerror", "&lt;/script&gt;", "x" * 10_000))
    text.encode("utf-8")
    assert not re.search("[\u202e\u2066\u200f\u2028\x00\x07\x1b]", text)
    root = Tree(text).root
    assert len([script for script in root.all("script") if script.attributes["type"] == "module"]) <= 2
    for element in walk(root):
        assert not any(key.startswith("on") for key in element.attributes), element.tag
        assert str(element.attributes.get("src", "data:")).startswith("data:")


@pytest.mark.parametrize("name", ["analyze", "rewrite", "erase evaluate"])
def test_a_report_cut_off_anywhere_is_no_json(name: str, tmp_path: Path) -> None:
    whole = json.dumps(sample(name))
    for share in range(1, 20):
        path = tmp_path / "cut.json"
        path.write_text(whole[: len(whole) * share // 20], encoding="utf-8")
        with pytest.raises(ReportFileError, match=r"is no JSON: .* at line 1, column \d+"):
            saved_document(path)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1e31, "is 1e+31, expected a number of at most 1e+30"),
        (10**400, "too many digits|expected an integer of at most 1e\\+30"),
        (-1, "is -1, expected an integer of at least 0"),
        (1.5, "is 1.5, expected an integer"),
        (True, "is True, expected an integer"),
    ],
)
def test_numbers_that_no_report_has_are_refused(value: Any, said: str, tmp_path: Path) -> None:
    data, path = sample("analyze"), ("stages", 0, "nodes", 0, "bytes_read")
    if isinstance(value, float) and value > 1e30:
        path = ("stages", 0, "nodes", 0, "seconds")
    found = tmp_path / "report.json"
    found.write_text(json.dumps(changed(data, path, value)))
    with pytest.raises(ReportFileError, match=re.escape(said) if "|" not in said else said):
        saved_document(found)


@pytest.mark.parametrize("said", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_what_is_no_number_is_refused(said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(sample("bench")).replace('"rounds": ', f'"rounds": {said}, "x": ', 1))
    assert main(["report", str(path), "-o", "-"]) == 1
    assert re.fullmatch(rf"error: .* holds {re.escape(said)}, .*\n", capsys.readouterr().err)


def test_a_share_is_at_most_the_whole(tmp_path: Path) -> None:
    data = sample("explain")
    assert page_of(tmp_path, changed(data, ("explanation", "flops_share"), 1.0)) is not None
    assert page_of(tmp_path, changed(data, ("explanation", "flops_share"), 1.01)) is None


def test_what_is_worked_out_anew_does_not_count(tmp_path: Path) -> None:
    data = sample("analyze")
    own = page_of(tmp_path, data)
    for path in (("totals", "flops"), ("stages", 0, "categories"), ("stages", 0, "roles", "other", "flops")):
        if path[-1] in at(data, path[:-1]):
            assert page_of(tmp_path, changed(data, path, 7)) == own


def test_a_file_without_an_end_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_file, "MOST_BYTES", 1000)
    with pytest.raises(ReportFileError, match="/dev/zero is too large, expected a report of at most 1,000 bytes"):
        saved_document(Path("/dev/zero"))
    (tmp_path / "large.json").write_text(" " * 1001)
    with pytest.raises(ReportFileError, match="is too large"):
        saved_document(tmp_path / "large.json")


def test_a_report_comes_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(json.dumps(sample("mask"))))
    writer.start()
    made = saved_document(pipe)
    writer.join()
    assert made == page_of(tmp_path, sample("mask"))


def test_a_chart_that_cannot_be_drawn_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = sample("characterize")
    data["figures"][0]["name"] = "n" * 10_000
    data["figures"][0]["chart"]["mark"] = {"type": "log"}
    path = tmp_path / "report.json"
    path.write_text(json.dumps(data))
    assert main(["report", str(path), "-o", "-"]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"error: .*report.json: figure 'n{60}' cannot be drawn: .*\n", said)
    assert len(said) < 500


def test_a_long_name_makes_no_long_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = sample("mask"), tmp_path / "report.json"
    data["masks"][0]["weights"] = {"k" * 10_000: {}}
    path.write_text(json.dumps(data))
    assert main(["report", str(path), "-o", "-"]) == 1
    assert len(capsys.readouterr().err) < 1000
