"""`graphlab erase saliency`: the mask, its table, and what the command line refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphlab.masks import read_mask
from tests.cli.conftest import Run
from tests.cli.erase.conftest import Refuses
from tests.cli.erase.pages import assert_same_page


def test_writes_a_mask_and_prints_where_it_sits(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    command = ("erase", "saliency", str(base_path), "--concept", "three", "--config", str(quick), "-o", str(path))
    done = run(*command, "--html", str(tmp_path / "page.html"))
    assert done.code == 0, done.err
    assert_same_page(tmp_path / "page.html", tmp_path / "mask.safetensors.json")
    assert "cross-attention key" in done.out
    assert "roman iii" in done.out
    assert read_mask(path).about["seeds"] == [0]


def test_options_count_above_the_file(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    path, prompts = tmp_path / "mask.safetensors", tmp_path / "prompts.txt"
    prompts.write_text("roman iii\n\ndrawn drei\n")
    options = ("--prompts", str(prompts), "--prompt", "the digit three", "--seeds", "3,5:7", "--range", "-1:2")
    more = ("--fraction", "0.25", "--combine", "vote", "--votes", "2", "--parameters", "xattn", "--score", "sum_abs")
    done = run("erase", "saliency", str(base_path), "--config", str(quick), "-o", str(path), *options, *more)
    assert done.code == 0, done.err
    about = read_mask(path).about
    assert about["prompts"] == ["the digit three", "roman iii", "drawn drei"]
    assert about["seeds"] == [3, 5, 6]
    assert about["log_snr"] == [-1.0, 2.0]
    assert (about["fraction"], about["combination"], about["score"]) == (0.25, "vote of 2", "sum_abs")
    assert all(".attn2." in key for key in read_mask(path).weights)
    config = json.loads((tmp_path / "mask.safetensors.json").read_text())["config"]
    assert config["maps"]["draws"] == 2
    assert config["maps"]["seeds"] == [3, 5, 6]


def test_a_pipeline_is_a_source(run: Run, pipeline_path: Path, quick: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    shape = ("--shape", "4x8x16")
    done = run(
        "erase", "saliency", str(pipeline_path), "--concept", "a cat", "--config", str(quick), "-o", str(path), *shape
    )
    assert done.code == 0, done.err
    assert read_mask(path).about["config"]["shape"] == [4, 8, 16]


def test_a_page_replaces_neither_mask_nor_source(run: Run, base_path: Path, tmp_path: Path) -> None:
    command = ("erase", "saliency", str(base_path), "--concept", "three", "-o", str(tmp_path / "m"), "--html")
    before = base_path.read_bytes()
    for place in (base_path, tmp_path / "m", tmp_path / "m.json"):
        assert run(*command, str(place)).code == 2
    assert base_path.read_bytes() == before
    assert not list(tmp_path.iterdir())


REFUSED = [
    ("no-concept", (), 1, "nothing is to be erased"),
    ("unknown-concept", ("--concept", "tree"), 1, "did you mean 'three'"),
    ("unknown-word", ("--prompt", "the digid three"), 1, "near it: digit"),
    ("no-seeds", ("--concept", "three", "--seeds", "a"), 2, "is not seeds"),
    ("empty-span", ("--concept", "three", "--seeds", "3:3"), 2, "is not seeds"),
    ("no-range", ("--concept", "three", "--range", "3"), 2, "is not LOW:HIGH"),
    ("empty-range", ("--concept", "three", "--range", "3:1"), 2, "is not LOW:HIGH"),
    ("no-shape", ("--concept", "three", "--shape", "4x64"), 2, "is not CxHxW"),
    ("another-shape", ("--concept", "three", "--shape", "1x16x16"), 1, "draws images of shape"),
    ("unknown-score", ("--concept", "three", "--score", "max"), 1, "maps.score is 'max'"),
    ("no-votes", ("--concept", "three", "--combine", "vote"), 1, "votes are None"),
    ("no-config", ("--concept", "three", "--config", "nowhere.toml"), 1, "nowhere.toml cannot be read"),
    ("no-prompt-file", ("--prompts", "nowhere.txt"), 1, "nowhere.txt cannot be read"),
    ("unknown-method", ("--concept", "three", "--method", "sulan"), 1, "did you mean 'salun'"),
]


@pytest.mark.parametrize(("options", "code", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(options: tuple[str, ...], code: int, says: str, refuses: Refuses) -> None:
    refuses("saliency", "mask.safetensors", options, code, says)


def test_an_unknown_key_of_a_file_names_the_nearest(run: Run, base_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "erase.toml"
    path.write_text("[maps]\nfractoin = 0.5\n")
    output = str(tmp_path / "mask.safetensors")
    done = run("erase", "saliency", str(base_path), "--concept", "three", "--config", str(path), "-o", output)
    assert done.code == 1
    assert "maps.fractoin is not known" in done.err
    assert "did you mean 'fraction'" in done.err


def test_what_is_there_stays(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    path = tmp_path / "mask.safetensors"
    path.write_text("precious")
    command = ("erase", "saliency", str(base_path), "--concept", "three", "--config", str(quick), "-o", str(path))
    done = run(*command)
    assert (done.code, path.read_text()) == (1, "precious")
    assert "--force" in done.err
    assert run(*command, "--force").code == 0
    assert read_mask(path).set_entries


def test_a_base_that_does_not_come_with_graphlab_is_said(run: Run, tmp_path: Path) -> None:
    done = run("erase", "saliency", "letters", "--concept", "three", "-o", str(tmp_path / "mask.safetensors"))
    assert done.code == 1
    assert "no shipped model is called 'letters'" in done.err
