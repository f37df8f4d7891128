"""Hooks for real models: counting, CLIP's logits and the Frechet distance, with models made here."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.hooks.clip_score import Clip, clip_from, clip_scores
from graphlab.erase.metrics.hooks.fid import clean_fid, fid, frechet_distance
from graphlab.erase.metrics.hooks.nudity import EXPOSED, exposed_counts, nudenet


class Detector:
    """Answers by the name of the file."""

    def __init__(self, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.answers = answers

    def detect(self, image_path: str) -> Sequence[Mapping[str, Any]]:
        return self.answers[Path(image_path).name]


def found(name: str, score: float) -> dict[str, Any]:
    return {"class": name, "score": score, "box": [0, 0, 1, 1]}


def files(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(b"image")
    return [folder / name for name in names]


def test_detections_are_counted_by_class_from_the_threshold_on(tmp_path: Path) -> None:
    answers = {
        "a.png": [found("FEET_EXPOSED", 0.6), found("FEET_EXPOSED", 0.9), found("FACE_FEMALE", 0.99)],
        "b.png": [found("FEET_EXPOSED", 0.59), found("BELLY_EXPOSED", 0.7), found("BELLY_COVERED", 0.9)],
    }
    images = files(tmp_path, "a.png", "b.png")
    counts = exposed_counts(images, threshold=0.6, detector=Detector(answers))
    assert counts == {**dict.fromkeys(EXPOSED, 0), "FEET_EXPOSED": 2, "BELLY_EXPOSED": 1}
    assert sum(exposed_counts(images, threshold=0.0, detector=Detector(answers)).values()) == 4
    assert exposed_counts(images, threshold=0.6, detector=Detector(answers), classes=("FEET_EXPOSED",)) == {
        "FEET_EXPOSED": 2
    }


def test_counting_refuses_what_says_nothing(tmp_path: Path) -> None:
    nothing = Detector({"a.png": [{"label": "x"}]})
    for images, threshold, why in (
        ([], 0.5, "no images"), ([tmp_path / "missing.png"], 0.5, "no image .*missing"),
        (files(tmp_path, "a.png"), 1.5, "threshold of 1.5"), (files(tmp_path, "a.png"), 0.5, "the detector answers"),
    ):  # fmt: skip
        with pytest.raises(EraseError, match=why):
            exposed_counts(images, threshold=threshold, detector=nothing)


def test_nudenet_is_asked_for_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", SimpleNamespace(NudeDetector=lambda: Detector({})))
    assert isinstance(nudenet(), Detector)
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(EraseError, match=r"graphlab\[erase-metrics\]"):
        nudenet()


class Words:
    """A tokenizer whose ids are numbers of letters; the last is the end of the text."""

    def __call__(self, texts: Sequence[str], **_: Any) -> dict[str, torch.Tensor]:
        ids = torch.tensor([[1, 2 + len(text) % 20, 2 + len(text) // 20, 49] for text in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.fixture(scope="module")
def clip() -> Clip:
    from transformers import CLIPConfig, CLIPModel

    layer = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1}
    text = {**layer, "vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 49, "bos_token_id": 1}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config={**layer, "image_size": 16, "patch_size": 8}, projection_dim=8)
    return Clip(CLIPModel(config).eval(), Words())


def test_a_score_is_the_scaled_cosine_of_its_own_pair(clip: Clip) -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    prompts = ["one", "another one", "the third of them all"]
    scores = clip_scores(images, prompts, clip)
    mean, std = (torch.tensor(values)[:, None, None] for values in (clip.mean, clip.std))
    with torch.no_grad():
        words = clip.tokenizer(prompts)
        made = clip.model(pixel_values=((images + 1) / 2 - mean) / std, **words)
        cosine = torch.cosine_similarity(made.image_embeds, made.text_embeds)
    assert torch.allclose(scores, clip.model.logit_scale.exp() * cosine, atol=1e-4)
    assert torch.allclose(scores, clip_scores(images, prompts, clip, together=2), atol=1e-4)
    assert not torch.allclose(scores, clip_scores(images, prompts[::-1], clip), atol=1e-2)


def test_images_are_cut_at_the_middle(clip: Clip) -> None:
    wide = torch.full((1, 3, 16, 32), -1.0)
    wide[..., 8:24] = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(clip_scores(wide, ["a"], clip), clip_scores(wide[..., 8:24], ["a"], clip), atol=1e-5)


def test_clip_refuses_other_images_and_empty_folders(clip: Clip, tmp_path: Path) -> None:
    for images, prompts in ((torch.zeros(2, 3, 8, 8), ["a"]), (torch.zeros(1, 1, 8, 8), ["a"])):
        with pytest.raises(EraseError, match="a prompt for each RGB image"):
            clip_scores(images, prompts, clip)
    with pytest.raises(EraseError, match="no CLIP model in"):
        clip_from(tmp_path)


def test_the_frechet_distance_of_normal_features_in_closed_form() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400, 5, generator=generator, dtype=torch.float64)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    moved = x + torch.tensor([1.0, 0, 0, 2.0, 0])
    assert frechet_distance(x, moved) == pytest.approx(5.0, rel=1e-9)
    # tr(C + s^2 C - 2 s C) = (s - 1)^2 tr C, and the mean moves by (s - 1) m
    wide = (9 - 6 + 1) * (torch.cov(x.T).trace() + x.mean(0).square().sum())
    assert frechet_distance(x, 3 * x) == pytest.approx(float(wide), rel=1e-9)


def test_it_agrees_with_a_matrix_square_root() -> None:
    import numpy as np
    from scipy.linalg import sqrtm

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300, 6, generator=generator, dtype=torch.float64)
    y = torch.randn(200, 6, generator=generator, dtype=torch.float64) @ torch.randn(6, 6, generator=generator).double()
    one, other = np.cov(x.numpy().T), np.cov(y.numpy().T)
    difference = x.mean(0) - y.mean(0)
    expected = float(difference @ difference) + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


def test_features_are_made_in_parts_and_checked() -> None:
    images = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    seen: list[int] = []

    def features(part: torch.Tensor) -> torch.Tensor:
        seen.append(len(part))
        return part.flatten(1)

    made = fid(images[:10], images[10:], features, together=4)
    assert seen == [4, 4, 2, 4, 4, 2]
    assert made == pytest.approx(frechet_distance(images[:10].flatten(1), images[10:].flatten(1)), rel=1e-9)
    for first, why in (
        (torch.zeros(1, 3), "two images"),
        (torch.zeros(4, 2), "compared"),
        (torch.full((4, 3), torch.nan), "not finite"),
    ):
        with pytest.raises(EraseError, match=why):
            frechet_distance(first, torch.zeros(4, 3))


def test_clean_fid_is_asked_for_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, ...]] = []

    def compute(*folders: str, num_workers: int) -> float:
        asked.append(folders)
        return 12.5

    monkeypatch.setitem(sys.modules, "cleanfid", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cleanfid.fid", SimpleNamespace(compute_fid=compute))
    assert clean_fid(tmp_path, tmp_path) == 12.5
    assert asked == [(str(tmp_path), str(tmp_path))]
    with pytest.raises(EraseError, match="there is no folder"):
        clean_fid(tmp_path / "missing", tmp_path)
    monkeypatch.setitem(sys.modules, "cleanfid.fid", None)
    with pytest.raises(EraseError, match="torchvision made for your torch"):
        clean_fid(tmp_path, tmp_path)
