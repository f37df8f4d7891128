"""`graphlab run`: an image of an exported folder, and one line for every folder that is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from graphlab.cli.main import main
from graphlab.erase.jobs.record import file_hash
from tests.onnx_pipeline import by_hand
from tests.pages.samples import DATA

IDS = "98 3 14 15 99"


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line a failing run says."""
    assert main(["run", *arguments]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def run(*arguments: str) -> None:
    assert main(["run", *arguments]) == 0


def test_an_image_is_written_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    for name in ("a.npy", "a.png", "a.safetensors"):
        run(str(folder), "--prompt-ids", IDS, "--steps", "2", "--seed", "3", "-o", str(tmp_path / name))
    values = np.load(tmp_path / "a.npy")
    assert values.shape == (1, 16, 16, 3)
    assert values.std() > 0.01
    np.testing.assert_array_equal(load_file(tmp_path / "a.safetensors")["values"], values)
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    assert pixels.shape == (16, 16, 3)
    np.testing.assert_array_equal(pixels, (values[0] * 255).round())
    shown = capsys.readouterr().out
    assert "StableDiffusionPipeline" in shown
    assert "text_encoder" in shown


def test_the_report_counts_calls(tmp_path: Path) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    options = ("--prompt-ids", IDS, "--steps", "3", "--guidance", "4", "--height", "24", "--width", "32")
    run(str(folder), *options, "--json", str(tmp_path / "r.json"))
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["schema"] == "graphlab.run/1"
    assert report["shape"] == [1, 24, 32, 3]
    assert report["arguments"]["guidance_scale"] == 4
    assert {item["model"]: item["calls"] for item in report["models"]} == {"vae": 1, "text_encoder": 2, "unet": 3}
    assert set(report["versions"]) == {"graphlab", "torch", "diffusers", "onnxruntime"}


def test_seed_and_prompt_decide(tmp_path: Path) -> None:
    folder = str(by_hand.folder(tmp_path / "sd"))
    made = []
    for index, given in enumerate(
        (
            ("--seed", "1", "--prompt-ids", IDS),
            ("--seed", "1", "--prompt-ids", IDS),
            ("--seed", "2", "--prompt-ids", IDS),
            ("--seed", "1", "--prompt-ids", "98 40 41 42 99"),
            ("--seed", "1", "--prompt-ids", IDS, "--negative-prompt", "50 51"),
        )
    ):
        run(folder, *given, "--steps", "2", "-o", str(tmp_path / f"{index}.npy"))
        made.append(np.load(tmp_path / f"{index}.npy"))
    np.testing.assert_array_equal(made[0], made[1])
    for other in made[2:]:
        assert np.abs(made[0] - other).max() > 1e-3


def test_without_a_prompt_ids_are_drawn_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(by_hand.folder(tmp_path / "sd")), "--steps", "1", "--seed", "7")
    assert "drawn from seed 7" in capsys.readouterr().out


def test_words_need_a_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = error(capsys, str(by_hand.folder(tmp_path / "sd")), "--prompt", "a house")
    assert "no tokenizer" in said
    assert "--prompt-ids" in said


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("--prompt-ids", "a house"), "no list of token ids"),
        (("--prompt-ids", "98 100"), "no token 100"),
        (("--prompt-ids", "1", "--prompt-ids", "2"), "2 prompts for 1 text encoders"),
        (("--frames", "8"), "takes no frames"),
        (("--provider", "tpu"), "no provider 'tpu'"),
    ],
    ids=["words", "vocabulary", "encoders", "frames", "provider"],
)
def test_options_a_pipeline_cannot_take(
    given: tuple[str, ...], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in error(capsys, str(by_hand.folder(tmp_path / "sd")), *given)


def test_what_is_no_exported_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no folder" in error(capsys, str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    assert "no model_index.json" in error(capsys, str(tmp_path / "empty"))
    (tmp_path / "model.onnx").write_bytes(b"")
    said = error(capsys, str(tmp_path / "model.onnx"))
    assert "is one model" in said
    assert "graphlab export" in said


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lost in ("unet/model.onnx", "vae_decoder/config.json", "scheduler/scheduler_config.json"):
        folder = by_hand.folder(tmp_path / lost.partition("/")[0])
        (folder / lost).unlink()
        said = error(capsys, str(folder))
        assert lost in said


def test_a_damaged_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    (folder / "unet" / "model.onnx").write_bytes(b"not a model")
    said = error(capsys, str(folder))
    assert "unet/model.onnx cannot be loaded" in said


def test_a_fixed_size_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(by_hand.folder(tmp_path / "sd", side=8))
    run(folder, "--prompt-ids", IDS, "--steps", "1")
    capsys.readouterr()
    said = error(capsys, folder, "--prompt-ids", IDS, "--steps", "1", "--height", "32", "--width", "32")
    assert "takes sample of batch_sizex4x8x8, not 2x4x16x16" in said


def test_a_size_outside_the_exported_range(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    variable = {"name": "height", "value": 16, "minimum": 16, "maximum": 64, "multiple_of": 16}
    manifest = {"schema": "graphlab.pipeline/1", "workload": "sd", "variables": [variable], "stages": []}
    (folder / "graphlab.json").write_text(json.dumps(manifest))
    said = error(capsys, str(folder), "--prompt-ids", IDS, "--height", "24")
    assert "height 24 is impossible" in said
    assert "a multiple of 16" in said


def test_foreign_classes_are_not_imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    by_hand.write_index(folder, _class_name="os.system")
    assert "diffusers has no pipeline 'os.system'" in error(capsys, str(folder))
    by_hand.write_index(folder)
    (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "DiffusionPipeline"}')
    assert "no scheduler 'DiffusionPipeline'" in error(capsys, str(folder))


def test_two_runtimes_at_once_are_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(by_hand.folder(tmp_path / "sd"))
    both = "onnxruntime 1.31.1 and onnxruntime-gpu 1.31.1 are installed into the same folder"
    monkeypatch.setattr("graphlab.lowering.distributions.runtime_conflict", lambda: both)
    assert both in error(capsys, folder, "--prompt-ids", IDS)


def test_a_missing_provider_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(by_hand.folder(tmp_path / "sd"))
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "has no CUDAExecutionProvider" in error(capsys, folder, "--provider", "cuda")


def test_an_unknown_format_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(tmp_path), "-o", "a.jpg"]) == 2
    assert ".png, .npy, .safetensors" in capsys.readouterr().err


def report_of(saved: Path, page: Path) -> str:
    """The page that `graphlab report` makes of a saved run."""
    assert main(["report", str(saved), "-o", str(page)]) == 0
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.safetensors"])
def test_the_page_of_a_saved_run_shows_what_it_wrote(name: str, tmp_path: Path) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    home = tmp_path / "home"
    (home / "out").mkdir(parents=True)
    saved, page = home / "r.json", home / "page.html"
    places = ("-o", str(home / "out" / name), "--json", str(saved), "--html", str(page))
    run(str(folder), "--prompt-ids", IDS, "--steps", "1", *places)
    assert json.loads(saved.read_text())["output"]["file"] == f"out/{name}"
    own = page.read_text(encoding="utf-8")
    assert own.count("data:image/png;base64,") == 1
    assert report_of(saved, tmp_path / "again.html") == own
    moved = home.rename(tmp_path / "elsewhere")  # the file is looked for beside the report
    assert report_of(moved / "r.json", tmp_path / "again.html") == own


def test_the_page_says_what_became_of_the_result(tmp_path: Path) -> None:
    folder, saved, image = by_hand.folder(tmp_path / "sd"), tmp_path / "r.json", tmp_path / "a.npy"
    run(str(folder), "--prompt-ids", IDS, "--steps", "1", "--json", str(saved))
    assert "The result was not written to a file" in report_of(saved, tmp_path / "page.html")
    run(str(folder), "--prompt-ids", IDS, "--steps", "1", "-o", str(image), "--json", str(saved))
    np.save(image, np.zeros((1, 16, 16, 3), dtype=np.float32))
    text = report_of(saved, tmp_path / "page.html")
    assert "a.npy, which is another file by now" in text
    assert "data:image/png" not in text
    image.unlink()
    assert "a.npy, which is not there any more" in report_of(saved, tmp_path / "page.html")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\nnothing", "cannot be read as what its name says"),
        ("a.npy", b"\x93NUMPY", "cannot be read as what its name says"),
        ("a.safetensors", b"\xff" * 8, "cannot be read as what its name says"),
        ("a.txt", b"secret", "is none of .png, .npy, .safetensors"),
        ("a.npy", None, "holds no result of the shape"),
        ("a\0.png", None, "is not there any more"),
        ("/dev/zero", None, "is not there any more"),
    ],
)
def test_a_file_that_a_stranger_names_is_no_picture(name: str, data: bytes | None, said: str, tmp_path: Path) -> None:
    report = json.loads(json.dumps(DATA["run"]()))
    path = tmp_path / name.replace("\0", "").removeprefix("/dev/")
    if data is None:
        np.save(path, np.zeros((1, 2, 2, 3)))
    else:
        path.write_bytes(data)
    found = path if path.exists() else path.with_name(path.name + ".npy")
    report["output"] = {"file": name, "sha256": file_hash(found)}
    (tmp_path / "r.json").write_text(json.dumps(report))
    assert said in report_of(tmp_path / "r.json", tmp_path / "page.html")
