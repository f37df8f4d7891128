"""Folders that are incomplete, damaged, or of another version: one line that names the file or the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphlab.onnx_pipeline.errors import PipelineError
from graphlab.running import run
from tests.onnx_pipeline import by_hand
from tests.onnx_pipeline.pipelines import tokenizer

IDS = ["98 3 14 15 99"]


def rewrite(path: Path, **changes: object) -> None:
    """The JSON object at `path` with `changes`; keys of None are taken out."""
    found = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def no_vocabulary(folder: Path) -> None:
    rewrite(folder / "text_encoder" / "config.json", vocab_size=None)


def odd_scheduler(folder: Path) -> None:
    rewrite(folder / "scheduler" / "scheduler_config.json", beta_schedule="cubic")


def odd_manifest(folder: Path) -> None:
    variables = [{"name": "height", "value": 16}]
    content = {"schema": "graphlab.pipeline/1", "workload": "sd", "variables": variables, "stages": []}
    (folder / "graphlab.json").write_text(json.dumps(content))


def empty_manifest(folder: Path) -> None:
    (folder / "graphlab.json").write_text('{"schema": "graphlab.pipeline/1"}')


def no_decoder(folder: Path) -> None:
    by_hand.write_index(folder, vae=[None, None])


def damaged_tokenizer(folder: Path) -> None:
    tokenizer(folder / "tokenizer").save_pretrained(folder / "tokenizer")
    (folder / "tokenizer" / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "?"}}')
    by_hand.write_index(folder, tokenizer=["transformers", "CLIPTokenizer"])


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (no_vocabulary, "text_encoder/config.json names no vocab_size"),
    (odd_scheduler, "DDIMScheduler cannot be made of .*scheduler_config.json: .*cubic"),
    (odd_manifest, "graphlab.json is damaged"),
    (empty_manifest, "graphlab.json is damaged"),
    (no_decoder, "StableDiffusionPipeline cannot"),
    (damaged_tokenizer, "tokenizer cannot be read"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=[item[0].__name__ for item in DAMAGES])
def test_one_line_says_what_is_wrong(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    folder = by_hand.folder(tmp_path / "sd")
    damage(folder)
    with pytest.raises(PipelineError, match=message) as caught:
        run(folder, "a house" if damage is damaged_tokenizer else None, prompt_ids=[], steps=1)
    assert "\n" not in str(caught.value)


def test_a_folder_with_some_of_its_tokenizers(tmp_path: Path) -> None:
    """Ids for the encoder that has none would be read as words by the other one's."""
    folder = by_hand.folder(tmp_path / "sd")
    second = folder / "text_encoder_2"
    second.mkdir()
    for name in ("model.onnx", "config.json"):
        (second / name).write_bytes((folder / "text_encoder" / name).read_bytes())
    tokenizer(folder / "tokenizer")
    by_hand.write_index(
        folder,
        _class_name="StableDiffusionXLPipeline",
        text_encoder_2=["transformers", "CLIPTextModel"],
        tokenizer=["transformers", "CLIPTokenizer"],
    )
    with pytest.raises(PipelineError, match="has tokenizer and no tokenizer_2"):
        run(folder, prompt_ids=IDS, steps=1)
