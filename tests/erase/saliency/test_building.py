"""From prompts and seeds to a mask file that training accepts."""

from __future__ import annotations

import dataclasses
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.objective import Objective
from graphlab.erase.saliency.building import Saliency, saliency
from graphlab.erase.saliency.config import SaliencyConfig, read_saliency_config
from graphlab.erase.saliency.controls import RandomMasks
from graphlab.erase.saliency.density import densities
from graphlab.erase.saliency.gradients import Scores, scores_of
from graphlab.erase.training.loop import train
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.progress import Progress
from graphlab.erase.training.prompts import Prompts
from graphlab.masks import read_mask
from tests.erase.mixtures import EMPTY, GIVEN
from tests.erase.training.small import ALL, PROMPTS, config, model, same_bits, state


def settings(**changes: Any) -> SaliencyConfig:
    made = {"objective": Objective(ALL), "shape": (1, 1, 2), "seeds": (1, 2), "boundary": 0.0, "steps": 10, "draws": 3}
    return SaliencyConfig(**{**made, **changes})


def entries(made: Saliency) -> int:
    return sum(row.kept for row in made.rows)


def test_the_file_says_how_the_mask_was_made_and_training_takes_it(tmp_path: Path) -> None:
    base = model()
    made = saliency(base, PROMPTS, settings(score="sum_abs", until=4.0))
    path = tmp_path / "mask.safetensors"
    made.write(path, base.module)
    read = read_mask(path)
    assert {key: weight.set_entries for key, weight in read.weights.items()} == {row.key: row.kept for row in made.rows}
    assert all(torch.equal(read.bits(key), made.masks[key]) for key in made.masks)
    about = dict(read.about or {})
    assert about.pop("config")["draws"] == 3
    scores = about.pop("mean_scores")
    assert set(scores) == set(made.masks)
    assert all(score > 0 for score in scores.values())
    one = saliency(base, PROMPTS, settings(score="sum_abs", until=4.0, seeds=(1,))).about["mean_scores"]
    other = saliency(base, PROMPTS, settings(score="sum_abs", until=4.0, seeds=(2,))).about["mean_scores"]
    assert scores == pytest.approx({key: (one[key] + other[key]) / 2 for key in scores}, rel=1e-9)
    assert about == {
        "method": "saliency",
        "prompts": ["given", "other"],
        "seeds": [1, 2],
        "log_snr": [0.0, 4.0],
        "fraction": 0.5,
        "score": "sum_abs",
        "ranking": "tensor",
        "keep": "top",
        "combination": "intersection",
        "maps": 4,
        "kept_after": list(made.curve),
    }
    before = state(base.module)
    train(base, base.copied(), PROMPTS, config(optimizer="adamw"), mask=read)
    after = state(base.module)
    for key, mask in made.masks.items():
        same = same_bits(after[key], before[key])
        assert bool(same[~mask].all())
        assert not bool(same[mask].all())
    with pytest.raises(EraseError, match="made for other weights"):
        made.write(tmp_path / "other.safetensors", base.module)
    assert not (tmp_path / "other.safetensors").exists()


def test_more_maps_leave_fewer_entries() -> None:
    made = saliency(model(), PROMPTS, settings(seeds=(1, 2, 3, 4), draws=1))
    assert len(made.curve) == 8
    assert list(made.curve) == sorted(made.curve, reverse=True)
    assert made.curve[0] > made.curve[-1] == entries(made)
    fewer = saliency(model(), PROMPTS, settings(seeds=(1, 2), draws=1))
    assert all(not bool((made.masks[key] & ~fewer.masks[key]).any()) for key in made.masks)


def test_union_and_votes_lie_around_the_intersection() -> None:
    several = {"seeds": (1, 2, 3), "draws": 1}
    found = [
        saliency(model(), PROMPTS, settings(combine=combine, votes=votes, **several))
        for combine, votes in (("union", None), ("vote", 1), ("vote", 4), ("vote", 6), ("intersection", None))
    ]
    sizes = [entries(made) for made in found]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3] == sizes[4]
    assert found[2].about["combination"] == "vote of 4"
    with pytest.raises(EraseError, match="7 votes of 6 maps"):
        saliency(model(), PROMPTS, settings(combine="vote", votes=7, **several))


def test_a_bottom_mask_is_the_rest_of_a_top_one() -> None:
    alone = Prompts({"given": GIVEN}, EMPTY)
    top, bottom = (saliency(model(), alone, settings(seeds=(1,), keep=keep)) for keep in ("top", "bottom"))
    assert all(torch.equal(top.masks[key], ~bottom.masks[key]) for key in top.masks)
    assert bottom.about["keep"] == "bottom"


def test_an_empty_mask_is_refused_as_soon_as_it_is_empty() -> None:
    seen: list[Progress] = []
    narrow = settings(fraction=0.02, seeds=tuple(range(8)), draws=1, parameters="regex:inside.weight")
    with pytest.raises(EraseError, match=r"no entry is in the intersection of \d maps.*larger fraction"):
        saliency(model(), PROMPTS, narrow, on_progress=seen.append)
    assert len(seen) < 16


def test_one_map_is_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    def watched(*arguments: Any) -> Scores:
        assert not [reference for reference in alive if reference() is not None]
        made = scores_of(*arguments)
        alive.extend(weakref.ref(values) for values in made.values())
        return made

    monkeypatch.setattr("graphlab.erase.saliency.building.scores_of", watched)
    saliency(model(), PROMPTS, settings())
    assert len(alive) == 4 * 4


def test_a_random_mask_is_as_dense_in_every_weight(tmp_path: Path) -> None:
    base = model()
    made = saliency(base, PROMPTS, settings())
    random = RandomMasks(made.masks, 3)
    assert [(row.key, row.kept) for row in densities(random)] == [(row.key, row.kept) for row in made.rows]
    assert all(torch.equal(random[key], RandomMasks(made.masks, 3)[key]) for key in random)
    assert not torch.equal(random["inside.weight"], made.masks["inside.weight"])
    assert not torch.equal(random["inside.weight"], RandomMasks(made.masks, 4)["inside.weight"])
    made.write_random(tmp_path / "random.safetensors", base.module, 3)
    read = read_mask(tmp_path / "random.safetensors")
    assert torch.equal(read.bits("inside.weight"), random["inside.weight"])
    assert read.about is not None
    assert read.about["method"] == "random"
    assert read.about["as_dense_as"]["seeds"] == [1, 2]
    with pytest.raises(EraseError, match="seed is -1"):
        RandomMasks(made.masks, -1)


def test_random_entries_are_uniform() -> None:
    masks = {"a": torch.arange(10) < 3}
    counts = torch.stack([RandomMasks(masks, seed)["a"] for seed in range(2000)]).sum(0)
    assert bool(((counts - 600).abs() < 5 * (2000 * 0.3 * 0.7) ** 0.5).all())


@pytest.mark.parametrize("combine", ["intersection", "vote"])
def test_an_interrupted_run_goes_on_to_the_same_mask(combine: Any, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(progress: Progress) -> None:
        if progress.done == 3:
            raise Interrupted

    chosen = settings(seeds=(1, 2, 3), draws=2, combine=combine, votes=3 if combine == "vote" else None)
    whole = saliency(model(), PROMPTS, chosen)
    path = tmp_path / "maps.pt"
    with pytest.raises(Interrupted):
        saliency(model(), PROMPTS, chosen, partial=path, on_progress=interrupt)
    seen: list[int] = []
    again = saliency(model(), PROMPTS, chosen, partial=path, on_progress=lambda progress: seen.append(progress.done))
    assert seen == [4, 5, 6]
    assert again.curve == whole.curve
    assert again.about == whole.about
    assert all(torch.equal(again.masks[key], whole.masks[key]) for key in whole.masks)
    finished = saliency(model(), PROMPTS, chosen, partial=path)
    assert all(torch.equal(finished.masks[key], whole.masks[key]) for key in whole.masks)
    for prompts, other in ((PROMPTS, dataclasses.replace(chosen, draws=3)), (Prompts({"a": GIVEN}, EMPTY), chosen)):
        with pytest.raises(EraseError, match="of another configuration, model or prompts"):
            saliency(model(), prompts, other, partial=path)
    path.write_bytes(b"nothing")
    with pytest.raises(EraseError, match="cannot read"):
        saliency(model(), PROMPTS, chosen, partial=path)
    torch.save({"format": "graphlab.erase.saliency", "version": 1}, path)
    with pytest.raises(EraseError, match="of version 2"):
        saliency(model(), PROMPTS, chosen, partial=path)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"draws": 0}, "draws is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"seeds": ()}, "seeds are"),
        ({"seeds": (1, 1)}, "none of them twice"),
        ({"fraction": 0.0}, "fraction is 0.0"),
        ({"fraction": 1.1}, "fraction is 1.1"),
        ({"combine": "vote"}, "votes are None"),
        ({"votes": 2}, "votes are 2 for combine intersection"),
        ({"combine": "vote", "votes": 0}, "votes are 0"),
        ({"parameters": "attn"}, "no parameters are called 'attn'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_makes_no_mask_is_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(EraseError, match=match):
        settings(**changes)


def test_configurations_are_read_strictly() -> None:
    given = {
        "objective": {"weights": {"erase": 1, "preserve": 1, "uncond_early": 0.5, "uncond_late": 0.5}},
        "shape": [1, 1, 2],
        "seeds": [1, 2],
        "boundary": 0,
        "steps": 10,
        "draws": 3,
    }
    assert read_saliency_config(given) == settings()
    with pytest.raises(EraseError, match=r"seed is not known.*seeds"):
        read_saliency_config({**given, "seed": 1})
    with pytest.raises(EraseError, match=r"stepping\.rate is 'a'"):
        read_saliency_config({**given, "stepping": {"rate": "a"}})


def test_the_hash_is_that_of_the_base() -> None:
    base = model()
    assert saliency(base, PROMPTS, settings()).base == module_hash(base.module)
