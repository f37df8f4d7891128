"""Methods run on tiny bases: what moves and what stays, points along the way, interrupted runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.methods import effort
from graphlab.erase.methods.closed import anchored, between, kept_text, phrases
from graphlab.erase.methods.effort import Effort
from graphlab.erase.methods.known import method
from graphlab.erase.methods.method import ClosedForm, Finetuning, Masking, Method
from graphlab.erase.methods.running import Erased, Point, mask_of, run_method
from graphlab.erase.saliency.density import densities
from graphlab.erase.training.model import module_hash
from graphlab.erase.worlds.base import Base
from tests.erase.evaluation.small import small_base
from tests.erase.methods.named import masked

EFFORT = Effort(boundary=-1.0, evaluations=32, batch=1, steps=4, pool=1)


BRIEF = replace(EFFORT, evaluations=1)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """BRIEF runs of three iterations and two checkpoints, where it does not matter how many there are."""
    monkeypatch.setattr(effort, "SHARES", (3, 1))


def base_of(point: Point) -> Base:
    assert isinstance(point.subject, BaseSubject)
    return point.subject.base


def hashes(erased: Erased) -> list[str]:
    return [module_hash(base_of(point).unet) for point in erased.points]


def quick(name: str) -> Method:
    """A method whose maps are of one gradient each."""
    found = method(name)
    assert isinstance(found.how, Finetuning)
    assert found.how.masking is not None
    return replace(found, how=replace(found.how, masking=replace(found.how.masking, draws=1)))


def test_ant_has_four_points_and_leaves_the_base(tmp_path: Path) -> None:
    base = small_base()
    before = module_hash(base.unet)
    found = run_method(base, "three", method("ant"), EFFORT, tmp_path, rate=1e-3)
    assert [(point.iteration, point.evaluations) for point in found.points] == [(1, 4), (3, 12), (9, 36), (27, 108)]
    assert len({before, *hashes(found)}) == 5
    assert module_hash(base.unet) == before
    assert found.density is None
    again = run_method(base, "three", method("ant"), EFFORT, tmp_path, rate=1e-3)
    assert hashes(again) == hashes(found)
    assert [point.evaluations for point in again.points] == [4, 12, 36, 108]


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("cut", ["snapshot", "run"])
def test_an_interrupted_run_goes_on_to_the_same_weights(
    tmp_path: Path, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = small_base()
    whole = run_method(base, "three", method("esd"), BRIEF, tmp_path / "whole", rate=1e-3)
    from graphlab.erase.methods.snapshots import Snapshots

    keep = Snapshots.keep

    def stop(self: Snapshots, iteration: int, student: Base) -> None:
        if iteration == 1 and cut == "snapshot":
            raise KeyboardInterrupt  # the checkpoint of this iteration is written, its model is not
        keep(self, iteration, student)
        if iteration == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Snapshots, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        run_method(base, "three", method("esd"), BRIEF, tmp_path / "cut", rate=1e-3)
    monkeypatch.setattr(Snapshots, "keep", keep)
    assert (tmp_path / "cut" / "after-1.safetensors").exists() == (cut == "run")
    found = run_method(base, "three", method("esd"), BRIEF, tmp_path / "cut", rate=1e-3)
    assert hashes(found) == hashes(whole)
    assert [point.iteration for point in found.points] == [1, 3]


def test_a_folder_that_lacks_a_model_is_refused(tmp_path: Path) -> None:
    base = small_base()
    run_method(base, "three", method("esd"), EFFORT, tmp_path, rate=1e-3)
    (tmp_path / "after-9.safetensors").unlink()
    with pytest.raises(EraseError, match="lacks its model after 9"):
        run_method(base, "three", method("esd"), EFFORT, tmp_path, rate=1e-3)
    (tmp_path / "after-9.safetensors").touch()
    with pytest.raises(EraseError, match=r"changed since is config\.rate"):
        run_method(base, "three", method("esd"), EFFORT, tmp_path, rate=2e-3)


@pytest.mark.usefixtures("brief")
def test_where_nothing_is_reversed_nothing_changes(tmp_path: Path) -> None:
    base = small_base()
    found = run_method(base, "three", method("ant@inf"), BRIEF, tmp_path, rate=1e-3)
    assert set(hashes(found)) == {module_hash(base.unet)}


@pytest.mark.usefixtures("brief")
def test_dead_terms_are_no_terms_to_the_last_bit(tmp_path: Path) -> None:
    """The released defect: unconditional terms without gradient leave ablation E."""
    base = small_base()
    dead, without = (
        run_method(base, "three", method(name), BRIEF, tmp_path / name, rate=1e-3) for name in ("ant-dead", "ant-e")
    )
    assert hashes(dead) == hashes(without)
    assert [point.evaluations for point in without.points] == [2, 6]


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("name", ["ant+intersection-3", "ant+random", "ant+bottom", "salun"])
def test_masks_hold(tmp_path: Path, name: str) -> None:
    base = small_base()
    made = quick(name)
    found = run_method(base, "three", made, BRIEF, tmp_path, rate=1e-2, seed=1)
    how, masking = masked(made)
    masks, spent = mask_of(base, ("three",), how, masking, BRIEF, 1, tmp_path / "mask.partial")
    assert found.mask_evaluations == spent == masking.maps
    assert found.density is not None
    assert 0 < found.density < 1
    after = base_of(found.points[-1]).unet.state_dict()
    moved = 0
    for key, value in base.unet.state_dict().items():
        changed = after[key] != value
        assert not bool((changed & ~masks[key]).any())
        moved += int(changed.sum())
    assert moved


def test_a_random_mask_is_as_dense_in_every_weight(tmp_path: Path) -> None:
    base = small_base()
    made: dict[str, dict[str, int]] = {}
    for name in ("ant+intersection-9", "ant+random"):
        how, masking = masked(quick(name))
        masks, _ = mask_of(base, ("three",), how, masking, EFFORT, 0, tmp_path / name)
        made[name] = {row.key: row.kept for row in densities(masks)}
    assert made["ant+random"] == made["ant+intersection-9"]


@pytest.mark.usefixtures("brief")
def test_several_concepts_at_once_take_all_their_phrases(tmp_path: Path) -> None:
    base = small_base()
    found = run_method(base, ("three", "five"), method("ant"), BRIEF, tmp_path, rate=1e-3)
    assert found.concepts == ("three", "five")
    fused = run_method(base, ("three", "five"), method("ant-fused"), BRIEF, tmp_path / "fused", rate=1e-2)
    assert [point.strength for point in fused.points] == [0.25, 0.5, 0.75, 1.0]
    before, after = base.unet.state_dict(), base_of(fused.points[-1]).unet.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all(".attn2.to_k." in key or ".attn2.to_v." in key for key in changed)


def test_uce_takes_the_concept_to_the_empty_prompt() -> None:
    """Without what is kept and next to no ridge, the edit is exact on the concept's own embeddings."""
    base = small_base()
    made = anchored(base, ("three",), 0.0, 1e-9)
    text = base.encode(phrases(base, "three"))
    key = next(name for name in base.unet.state_dict() if name.endswith("attn2.to_k.weight"))
    before, after = base.unet.state_dict()[key], made.unet.state_dict()[key]
    wanted = base.empty.expand_as(text) @ before.T
    away, left = (text @ before.T - wanted).square().mean(), (text @ after.T - wanted).square().mean()
    # More tokens than the width holds, so the best fit is not exact; it is the least squares one.
    rows, aims = text.reshape(-1, 32).double(), wanted.reshape(-1, after.shape[0]).double()
    best = torch.linalg.lstsq(rows, aims).solution
    least = (rows @ best - aims).square().mean()
    assert float(left) == pytest.approx(float(least), rel=1e-2, abs=1e-7)
    assert float(left) < float(away)


def test_uce_points_lead_from_the_base_to_the_edit(tmp_path: Path) -> None:
    base = small_base()
    weights = base.unet.state_dict()
    found = run_method(base, "three", method("uce"), EFFORT, tmp_path)
    full = base_of(found.points[-1]).unet.state_dict()
    half = base_of(found.points[1]).unet.state_dict()
    for key, value in weights.items():
        assert torch.allclose(half[key], (value + full[key]) / 2, atol=1e-6)
    assert module_hash(between(base, base_of(found.points[-1]), 0.0).unet) == module_hash(base.unet)
    held = Method("held", "", ClosedForm(keep=1e9))
    kept = run_method(base, "three", held, EFFORT, tmp_path)
    same = base_of(kept.points[-1]).unet.state_dict()
    assert max(float((same[key] - weights[key]).abs().max()) for key in weights) < 1e-3


def test_kept_text_is_of_all_other_classes() -> None:
    base = small_base()
    tokens = base.language.tokens
    assert kept_text(base, ("three",)).tokens == (9 * 6 + 1) * tokens
    assert kept_text(base, ("three", "four")).tokens == (8 * 6 + 1) * tokens


def test_negative_prompting_and_retraining_change_no_weight(tmp_path: Path) -> None:
    base, other = small_base(), small_base(seed=1)
    (avoided,) = run_method(base, "three", method("negative-prompt"), EFFORT, tmp_path).points
    assert isinstance(avoided.subject, BaseSubject)
    assert avoided.subject.avoided == tuple(phrases(base, "three"))
    assert avoided.subject.base is base
    (trained,) = run_method(base, "three", method("retrained"), EFFORT, tmp_path, retrained=other).points
    assert base_of(trained) is other


@pytest.mark.parametrize(
    ("name", "rate", "says"),
    [
        ("ant", None, "takes a learning rate"),
        ("uce", 1e-3, "takes no learning rate"),
        ("retrained", None, "has to be trained first"),
    ],
)
def test_what_a_method_cannot_do(tmp_path: Path, name: str, rate: float | None, says: str) -> None:
    with pytest.raises(EraseError, match=says):
        run_method(small_base(), "three", method(name), EFFORT, tmp_path, rate=rate)


def test_an_unknown_concept_and_a_mask_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="no digit 'ten'"):
        run_method(small_base(), "ten", method("ant"), EFFORT, tmp_path, rate=1e-3)
    with pytest.raises(EraseError, match="evaluations is 0"):
        replace(EFFORT, evaluations=0)
    assert Masking(seeds=3).maps == 9
