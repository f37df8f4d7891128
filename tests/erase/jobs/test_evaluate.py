"""Evaluating as a job: bases by judges, pipelines by drift, weights by bits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.evaluating import evaluate
from graphlab.erase.jobs.evaluate import evaluate_base
from graphlab.erase.jobs.evaluate_pipeline import PairConfig, PairJudge, evaluate_pipeline
from graphlab.erase.jobs.evaluation_tables import report_tables
from graphlab.erase.jobs.train import train_erased
from graphlab.erase.sources.of_base import BaseSource
from graphlab.erase.sources.of_pipeline import PipelineSource
from graphlab.erase.sources.opening import open_erased_base, open_source
from graphlab.erase.training.progress import Progress
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.masks import write_mask
from tests.erase import tiny
from tests.erase.jobs.small import quick

FEW = EvaluationConfig(images=4, unseen_images=2, kept_images=2, steps=2, drift_images=4, real_images=16, bootstrap=10)
PAIRS = PairConfig(images=2, steps=2, levels=1, edges=(-4.0, 0.0, 4.0))


@pytest.fixture(scope="module")
def base(base_path: Path) -> Base:
    return load_base(base_path)


@pytest.fixture(scope="module")
def erased(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("erased") / "out"
    source = BaseSource(base, "digits")
    train_erased(source, quick(source, {"training": {"rate": 0.05, "parameters": "xattn"}}), folder)
    return open_erased_base(folder)


def test_a_base_that_did_not_change_scores_the_same(base: Base, tmp_path: Path) -> None:
    mask = tmp_path / "mask.safetensors"
    write_mask(mask, {"conv_in.bias": torch.ones(8, dtype=torch.bool)}, base.unet.state_dict())
    report = evaluate_base(base, base.copy(), ["three"], [pixel_judge()], FEW, mask=mask)
    (found,) = report.evaluations
    assert found.before == found.after
    assert found.structure["kept"].value == pytest.approx(1.0)
    assert all(part.drift == 0 for bins in found.drift.values() for part in bins)
    assert report.outside == 0
    assert sum(row.changed for row in report.changes) == 0


def test_a_base_that_was_trained_has_changed(base: Base, erased: Base, tmp_path: Path) -> None:
    mask = tmp_path / "mask.safetensors"
    write_mask(mask, {"conv_in.bias": torch.ones(8, dtype=torch.bool)}, base.unet.state_dict())
    report = evaluate_base(base, erased, ["three", "seven"], [pixel_judge()], FEW, mask=mask)
    assert [found.concept for found in report.evaluations] == ["three", "seven"]
    assert all({"three", "seven"}.isdisjoint(found.after[0].kept) for found in report.evaluations)
    changed = [row.key for row in report.changes if row.changed]
    assert changed
    assert all(".attn2." in key for key in changed)
    assert report.outside == sum(row.changed for row in report.changes)
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(found["changed"]) == set(changed)
    assert found["changed_outside_mask"] == report.outside
    titles = [table.title for table in report_tables(report)]
    assert "three, judged by pixels" in titles
    assert "Drawn instead of seven, by pixels" in titles


def test_refuses_bases_that_do_not_belong_together(base: Base, erased: Base, tmp_path: Path) -> None:
    judges = [pixel_judge()]
    with pytest.raises(EraseError, match="did you mean 'three'"):
        evaluate_base(base, erased, ["tree"], judges, FEW)
    for one in (replace(FEW, images=1), replace(FEW, unseen_images=1)):
        with pytest.raises(EraseError, match="one image makes no interval"):
            evaluate_base(base, base, ["three"], judges, one)
    with pytest.raises(EraseError, match="name it"):
        evaluate_base(base, erased, [], judges, FEW)
    other = load_base(tiny.base_file(tmp_path, seed=1))
    with pytest.raises(EraseError, match="not made of this base"):
        evaluate_base(base, other, ["three"], judges, FEW)
    with pytest.raises(EraseError, match="not made of this base"):
        evaluate_base(base, replace(erased, encoder=other.encoder), ["three"], judges, FEW)
    with pytest.raises(EraseError, match="no erased base"):
        open_erased_base(tmp_path)


@pytest.fixture(scope="module")
def pair(pipeline_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PipelineSource, PipelineSource]:
    source = open_source(str(pipeline_path))
    assert isinstance(source, PipelineSource)
    folder = tmp_path_factory.mktemp("erased") / "out"
    settings = quick(source, {"concepts": ["a cat"], "training": {"rate": 0.02, "parameters": "xattn"}})
    train_erased(source, settings, folder)
    return source, source.with_unet(folder)


def _means(before: torch.Tensor, after: torch.Tensor, prompts: Sequence[str]) -> dict[str, float]:
    assert before.shape == after.shape
    assert len(prompts) == len(before)
    return {"before": float(before.mean()), "after": float(after.mean())}


def _rgb(latents: torch.Tensor) -> torch.Tensor:
    return latents[:, :3].clamp(-1, 1)


def test_a_pipeline_drifts_where_it_was_trained(pair: tuple[PipelineSource, PipelineSource]) -> None:
    report = evaluate_pipeline(*pair, ["a cat"], ["a dog", "a tree"], PAIRS, judges={"means": _means}, decode=_rgb)
    assert set(report.drift) == {"concept", "kept", "empty"}
    assert [(part.low, part.high) for part in report.drift["kept"]] == [(-4.0, 0.0), (0.0, 4.0)]
    assert all(part.drift > 0 for part in report.drift["concept"])
    assert report.drift["kept"][0].count == 4
    assert all(".attn2." in row.key for row in report.changes if row.changed)
    assert report.outside is None
    figures = report.judged["means"]
    assert set(figures) == {"concept", "kept"}
    assert figures["concept"]["before"] != figures["concept"]["after"]
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert found["prompts"] == {"concept": ["a cat"], "kept": ["a dog", "a tree"]}
    assert [table.title for table in report_tables(report)] == ["Drift of predictions", "Images of both models"]


def test_a_pipeline_that_did_not_change_does_not_drift(pair: tuple[PipelineSource, PipelineSource]) -> None:
    report = evaluate_pipeline(pair[0], pair[0].copied(), ["a cat"], (), PAIRS)
    assert all(part.drift == 0 for bins in report.drift.values() for part in bins)
    assert report.structure["concept"] == pytest.approx(1.0)
    assert not any(row.changed for row in report.changes)


def _nothing(before: torch.Tensor, after: torch.Tensor, prompts: Sequence[str]) -> dict[str, float]:
    return None  # type: ignore[return-value]  # what a stranger's judge may do


def _infinite(before: torch.Tensor, after: torch.Tensor, prompts: Sequence[str]) -> dict[str, float]:
    return {"score": float("inf")}


def _words(before: torch.Tensor, after: torch.Tensor, prompts: Sequence[str]) -> dict[str, float]:
    return {"score": "good"}  # type: ignore[dict-item]  # as above


@pytest.mark.parametrize(
    ("judge", "says"),
    [(_nothing, "gave NoneType"), (_infinite, "not finite"), (_words, "no number")],
    ids=["nothing", "infinite", "words"],
)
def test_refuses_what_a_judge_may_not_say(
    judge: PairJudge, says: str, pair: tuple[PipelineSource, PipelineSource]
) -> None:
    with pytest.raises(EraseError, match=says):
        evaluate_pipeline(*pair, ["a cat"], (), PAIRS, judges={"odd": judge}, decode=_rgb)


def test_refuses_pipelines(pair: tuple[PipelineSource, PipelineSource], tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="name it"):
        evaluate_pipeline(*pair, [], (), PAIRS)
    with pytest.raises(EraseError, match="no decoder"):
        evaluate_pipeline(*pair, ["a cat"], (), PAIRS, judges={"means": _means})
    with pytest.raises(EraseError, match="holds no U-Net"):
        pair[0].with_unet(tmp_path)
    wide = tiny.pipeline(tmp_path / "wide", block_out_channels=(8, 24))
    with pytest.raises(EraseError, match=r"was .* and is"):
        evaluate_pipeline(pair[0], pair[0].with_unet(wide), ["a cat"], (), PAIRS)
    with pytest.raises(EraseError, match="images is 0"):
        PairConfig(images=0)
    with pytest.raises(EraseError, match="edges of bins rise"):
        PairConfig(edges=(1.0, 1.0))


@pytest.mark.parametrize("kind", [EvaluationConfig, PairConfig])
@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**63}, "seed is 9"),
        ({"guidance": float("nan")}, "guidance is nan"),
        ({"guidance": float("inf")}, "guidance is inf"),
    ],
    ids=["negative", "beyond", "nan", "infinite"],
)
def test_images_that_cannot_be_drawn_are_refused(kind: Any, values: dict[str, Any], says: str) -> None:
    with pytest.raises(EraseError, match=says):
        kind(**values)


def test_a_pipeline_of_weights_that_are_no_numbers_is_said(pair: tuple[PipelineSource, PipelineSource]) -> None:
    spoilt = pair[0].copied()
    with torch.no_grad():
        spoilt.model.module.conv_out.bias.fill_(float("nan"))  # type: ignore[operator,union-attr]  # a convolution's
    with pytest.raises(EraseError, match="predictions are not finite"):
        evaluate_pipeline(pair[0], spoilt, ["a cat"], (), PAIRS)


def _close(one: object, other: object) -> bool:
    """Equal but for rounding: prompts are encoded in other batches."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_close, one, other))
    return one == (pytest.approx(other, rel=1e-4, abs=1e-5, nan_ok=True) if isinstance(other, float) else other)


def test_progress_counts_images_and_batches_change_none(
    base: Base, pair: tuple[PipelineSource, PipelineSource]
) -> None:
    seen: list[tuple[int, int]] = []
    few = replace(FEW, together=3)

    def see(now: Progress) -> None:
        seen.append((now.done, now.total))

    made = evaluate_base(base, base, ["three"], [pixel_judge()], few, on_progress=see)
    assert seen[-1] == (2 * (4 + 2 + 9 * 2), 2 * (4 + 2 + 9 * 2))
    assert seen[0] == (3, 48)
    plain = evaluate(base, base, "three", [pixel_judge()], few)
    assert _close(asdict(made.evaluations[0]), asdict(plain))
    seen.clear()
    evaluate_pipeline(*pair, ["a cat"], ("a dog",), PAIRS, on_progress=see)
    assert seen == [(done, 8) for done in range(1, 9)]
