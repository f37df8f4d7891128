"""`graphlab erase demo`: everything is written, and nothing changes where nothing is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from graphlab.cli.erase.demo import CONCEPTS
from graphlab.erase.jobs.comparison import changed_weights
from graphlab.erase.jobs.demo import DEMOS
from graphlab.erase.jobs.record import file_hash
from graphlab.erase.worlds.base import CHANNELS
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.known import world_of
from graphlab.masks import read_mask
from tests.cli.conftest import Run

FILES = {"base.safetensors", "erased.safetensors", "mask.safetensors", "manifest.json", "before_after.png", "demo.json"}


@pytest.mark.parametrize("steps", [0, 2])
def test_erases_and_shows(steps: int, run: Run, base_path: Path, judge_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    models = ("--base", str(base_path), "--judge", str(judge_path))
    few = ("--images", "8", "--kept-images", "1", "--steps", str(steps))
    page, saved = tmp_path / "page.html", tmp_path / "saved.json"
    reports = ("--html", str(page), "--json", str(saved))
    done = run("erase", "demo", "--concept", "three", *models, *few, "-o", str(out), *reports)
    assert done.code == 0, done.err
    assert run("report", str(saved), "-o", "-").out == page.read_text(encoding="utf-8")
    assert {file.name for file in out.iterdir()} >= FILES
    assert "Acc_e" in done.out
    made = json.loads((out / "demo.json").read_text())
    assert made["outputs_sha256"]["erased.safetensors"] == file_hash(out / "erased.safetensors")
    assert steps or made["results"]["cnn"]["before"] == made["results"]["cnn"]["after"]
    assert "bit-identical to the base" in done.out
    before, after = load_base(out / "base.safetensors"), load_base(out / "erased.safetensors")
    assert (out / "base.safetensors").read_bytes() == base_path.read_bytes()
    mask = read_mask(out / "mask.safetensors")
    masks = {key: mask.bits(key) for key in mask.weights}
    rows = changed_weights(before.unet.state_dict(), after.unet.state_dict(), masks)
    assert sum(row.outside or 0 for row in rows) == 0
    assert (sum(row.changed for row in rows) > 0) == (steps > 0)
    pixels = torch.from_numpy(numpy.array(Image.open(out / "before_after.png").convert("L")))
    concept_before, concept_after = pixels[8:72], pixels[80:144]
    assert torch.equal(concept_before, concept_after) == (steps == 0)


def test_every_world_has_a_demonstration() -> None:
    assert set(DEMOS) == set(CONCEPTS) == set(CHANNELS)
    for world, concept in CONCEPTS.items():
        assert concept in world_of(world).attributes[-1].classes


def test_refuses(run: Run, base_path: Path, judge_path: Path, tmp_path: Path) -> None:
    models = ("--base", str(base_path), "--judge", str(judge_path))
    done = run("erase", "demo", "--concept", "tree", *models, "-o", str(tmp_path / "a"))
    assert (done.code, "did you mean 'three'" in done.err) == (1, True)
    assert not (tmp_path / "a").exists()
    done = run("erase", "demo", "--world", "letters", "-o", str(tmp_path / "a"))
    assert (done.code, "there is no world 'letters'" in done.err) == (1, True)
    assert run("erase", "demo", "--steps", "-1", "-o", str(tmp_path / "a")).code == 2
    (tmp_path / "own").mkdir()
    own = shutil.copy(base_path, tmp_path / "own" / "erased.safetensors")
    done = run("erase", "demo", "--base", own, "--judge", str(judge_path), "-o", str(tmp_path / "own"), "--force")
    assert (done.code, "holds the source" in done.err) == (1, True)
    assert Path(own).read_bytes() == base_path.read_bytes()
    (tmp_path / "mine").write_text("")
    done = run("erase", "demo", *models, "-o", str(tmp_path))
    assert (done.code, "not empty" in done.err) == (1, True)
