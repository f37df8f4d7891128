"""`graphlab erase train` and `fuse`: what is written, interrupted and gone on with."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.erase.conftest import Refuses
from tests.cli.erase.pages import assert_same_page


def test_erases_under_a_mask(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    mask, out = str(tmp_path / "mask.safetensors"), tmp_path / "out"
    common = (str(base_path), "--concept", "three", "--config", str(quick))
    assert run("erase", "saliency", *common, "-o", mask).code == 0
    page = ("--html", str(tmp_path / "page.html"))
    done = run("erase", "train", *common, "--mask", mask, "--steps", "2", "--preset", "paper-b", "-o", str(out), *page)
    assert done.code == 0, done.err
    assert_same_page(tmp_path / "page.html", out / "manifest.json")
    assert "outside the mask" in done.out
    assert (out / "erased.safetensors").is_file()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["config"]["training"]["iterations"] == 2
    assert manifest["config"]["preset"] == "paper-b"
    assert manifest["results"]["changed_outside_mask"] == 0
    assert set(manifest["inputs_sha256"]) == {"", "the digit three", "roman iii", "comes after two", "mask"}


def test_low_rank_runs_are_fused(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    which = ("--lora", "2", "--parameters", r"regex:attn2\.to_(k|v)\.weight$", "--rate", "0.05")
    folders = []
    for concept in ("three", "seven"):
        folders += ["--lora", str(tmp_path / concept)]
        done = run(
            "erase", "train", str(base_path), "--concept", concept, "--config", str(quick), "-o", folders[-1], *which
        )
        assert done.code == 0, done.err
    captions = tmp_path / "captions.txt"
    captions.write_text("the digit one\nroman v\n")
    out, page = tmp_path / "fused", tmp_path / "page.html"
    command = ("erase", "fuse", str(base_path), *folders, "--preserve", str(captions), "-o", str(out))
    done = run(*command, "--html", str(page))
    assert done.code == 0, done.err
    assert_same_page(page, out / "manifest.json")
    assert "attn2.to_v" in done.out
    assert (out / "erased.safetensors").is_file()
    again = run(*command)
    assert again.code == 1
    assert "not empty" in again.err


@pytest.mark.parametrize("place", ["out", "out/manifest.json", "out/erased.safetensors"])
def test_a_page_does_not_replace_a_result(place: str, run: Run, base_path: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    done = run("erase", "train", str(base_path), "--concept", "three", "-o", out, "--html", str(tmp_path / place))
    assert done.code == 2
    assert "is what the command writes itself" in done.err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


REFUSED = [
    ("no-concept", (), 1, "nothing is to be erased"),
    ("resume-and-force", ("--concept", "three", "--resume", "--force"), 2, "--resume goes on with"),
    ("nothing-to-resume", ("--concept", "three", "--resume"), 1, "to resume from"),
    ("no-mask", ("--concept", "three", "--mask", "nowhere.safetensors"), 1, "nowhere.safetensors"),
    ("alpha-alone", ("--concept", "three", "--lora-alpha", "2"), 1, "training.lora.rank is missing"),
    ("unknown-preset", ("--concept", "three", "--preset", "paper-c"), 1, "did you mean 'paper-"),
    ("preset-and-method", ("--concept", "three", "--preset", "paper-a", "--method", "ant"), 1, "a preset or a method"),
    ("unknown-device", ("--concept", "three", "--device", "tpu9"), 1, "no device 'tpu9'"),
    ("unknown-precision", ("--concept", "three", "--precision", "int8"), 1, "training.precision is 'int8'"),
    ("no-rate", ("--concept", "three", "--rate", "0"), 1, "rate is 0.0"),
    ("unknown-part", ("--concept", "three", "--parameters", "xatn"), 1, "no parameters are called 'xatn'"),
]


@pytest.mark.parametrize(("options", "code", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(options: tuple[str, ...], code: int, says: str, refuses: Refuses) -> None:
    refuses("train", "out", options, code, says)


def test_a_changed_run_does_not_go_on(run: Run, base_path: Path, quick: Path, tmp_path: Path) -> None:
    command = (
        "erase",
        "train",
        str(base_path),
        "--concept",
        "three",
        "--config",
        str(quick),
        "-o",
        str(tmp_path / "o"),
    )
    assert run(*command).code == 0
    done = run(*command, "--resume", "--rate", "1e-3")
    assert done.code == 1
    assert "changed since is config.rate" in done.err


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(
    run: Run, base_path: Path, quick: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    many = ("--rate", "1e12", "--steps", "30", "--save-every", "1")
    done = run("erase", "train", str(base_path), "--concept", "three", "--config", str(quick), "-o", str(out), *many)
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert "a lower rate may help" in done.err
    assert not (out / "erased.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_ends_with_the_same_bytes(
    number: signal.Signals, run: Run, base_path: Path, quick: Path, tmp_path: Path
) -> None:
    """The signals are real ones, and come to this process: another would import for as long as all the rest takes."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    arguments = (str(base_path), "--concept", "three", "--config", str(quick), "--steps", "12", "--save-every", "3")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # one in the background ignores it
    sender = threading.Thread(target=send, args=(number, cut / "state" / "checkpoint.pt"))
    sender.start()
    try:
        done = run("erase", "train", *arguments, "-o", str(cut))
    finally:
        sender.join()
        signal.signal(signal.SIGINT, before)
    assert done.code == 130
    assert "--resume goes on from its last checkpoint" in done.err
    assert not (cut / "erased.safetensors").exists()
    assert run("erase", "train", *arguments, "-o", str(whole)).code == 0
    assert run("erase", "train", *arguments, "-o", str(cut), "--resume").code == 0
    assert (cut / "erased.safetensors").read_bytes() == (whole / "erased.safetensors").read_bytes()


def send(number: signal.Signals, path: Path) -> None:
    """Sends a signal to this process once there is a file, which a run that goes wrong never writes."""
    for _ in range(60_000):
        if path.exists():
            os.kill(os.getpid(), number)
            return
        time.sleep(0.002)
