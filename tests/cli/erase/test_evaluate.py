"""`graphlab erase evaluate`: tables, JSON, and what does not belong to a source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from diffusers import AutoencoderKL

from graphlab.erase.jobs.record import file_hash
from graphlab.masks import read_mask
from tests.cli.conftest import Run
from tests.erase import tiny

FEW = ("--images", "4", "--kept-images", "1", "--unseen-images", "0", "--steps", "2")


def test_a_base_is_judged(run: Run, base_path: Path, judge_path: Path, tmp_path: Path, quick: Path) -> None:
    out, mask = str(tmp_path / "out"), tmp_path / "mask.safetensors"
    common = (str(base_path), "--concept", "three", "--config", str(quick))
    assert run("erase", "saliency", *common, "-o", str(mask)).code == 0
    assert run("erase", "train", *common, "--mask", str(mask), "-o", out).code == 0
    command = ("erase", "evaluate", str(base_path), out, "--concept", "three", "--judge", str(judge_path), *FEW)
    done = run(*command, "--mask", str(mask), "--json", "-", "--html", str(tmp_path / "page.html"))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["evaluations"][0]["after"]["cnn"]["acc_e"]["trained"]["count"] == 4
    assert found["changed_outside_mask"] == 0
    assert found["made"]["mask_sha256"] == file_hash(mask)
    assert found["made"]["base_sha256"] != found["made"]["erased_sha256"]
    assert "torch" in found["made"]["versions"]
    assert 0 < sum(row["changed"] for row in found["changed"].values()) <= read_mask(mask).set_entries
    assert "every change lies in the mask" in done.err
    assert "Acc_p of four" in done.err
    assert len(found["pictures"]["three"]) < 20_000
    (tmp_path / "found.json").write_text(done.out)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert run("report", str(tmp_path / "found.json"), "-o", "-").out == page
    assert page.count('alt="Grid of images, ') == 1


def test_a_pipeline_is_compared(run: Run, tmp_path: Path, quick: Path) -> None:
    source, out = tiny.pipeline(tmp_path / "pipe"), str(tmp_path / "out")
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    vae.save_pretrained(source / "vae")
    common = (str(source), "--concept", "a cat")
    assert run("erase", "train", *common, "--config", str(quick), "-o", out).code == 0
    kept, judge = tmp_path / "kept.txt", tmp_path / "mine.py"
    kept.write_text("a dog\na tree\n")
    judge.write_text("def score(before, after, prompts):\n    return {'pictures': len(before), 'of': len(prompts)}\n")
    few = ("--images", "1", "--steps", "2", "--keep", str(kept), "--judge", f"{judge}:score")
    page = tmp_path / "page.html"
    done = run("erase", "evaluate", *common, out, *few, "--json", str(tmp_path / "found.json"), "--html", str(page))
    assert done.code == 0, done.err
    assert "Drift of predictions" in done.out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["judged"][f"{judge}:score"] == {
        "concept": {"pictures": 1.0, "of": 1.0},
        "kept": {"pictures": 2.0, "of": 2.0},
    }
    assert found["changed_outside_mask"] is None
    assert (found["config"]["images"], found["made"]["mask_sha256"]) == (1, None)
    assert set(found["pictures"]) == {"concept", "kept"}
    assert run("report", str(tmp_path / "found.json"), "-o", "-").out == page.read_text(encoding="utf-8")
    assert "a row before and a row after" in page.read_text(encoding="utf-8")


def test_without_a_decoder_the_page_says_that_there_are_no_images(
    run: Run, pipeline_path: Path, tmp_path: Path
) -> None:
    common = (str(pipeline_path), str(pipeline_path), "--concept", "a cat", "--images", "1", "--steps", "1")
    done = run("erase", "evaluate", *common, "--html", str(tmp_path / "page.html"))
    assert done.code == 0, done.err
    assert "There are no images to show: " in (tmp_path / "page.html").read_text(encoding="utf-8")


REFUSED = [
    ("keep-of-a-base", ("--keep", "kept.txt"), 2, "not for a source of this kind"),
    ("two-judges", ("--judge", "a", "--judge", "b"), 2, "one CNN judge"),
    ("no-judge", ("--judge", "nowhere.safetensors"), 1, "nowhere.safetensors"),
    ("unknown-concept", ("--concept", "tree"), 1, "did you mean 'three'"),
    ("unwritable", ("--json", "nowhere/found.json"), 1, "there is no folder"),
]


@pytest.mark.parametrize(("options", "code", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(options: tuple[str, ...], code: int, says: str, run: Run, base_path: Path, judge_path: Path) -> None:
    judge = () if "--judge" in options else ("--judge", str(judge_path))
    concept = () if "--concept" in options else ("--concept", "three")
    done = run("erase", "evaluate", str(base_path), str(base_path), *concept, *judge, *FEW, *options)
    assert done.code == code
    assert says in " ".join(done.err.replace("│", " ").split())


def test_options_of_bases_are_not_for_pipelines(run: Run, pipeline_path: Path) -> None:
    for option in ("--kept-images", "--unseen-images"):
        done = run("erase", "evaluate", str(pipeline_path), str(pipeline_path), "--concept", "a cat", option, "3")
        assert (done.code, "not for a source of this kind" in done.err) == (2, True)
    done = run("erase", "evaluate", str(pipeline_path), str(pipeline_path), "--concept", "a cat", "--judge", "mine")
    assert (done.code, "is not file.py:function" in done.err) == (2, True)
