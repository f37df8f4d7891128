"""Evaluations whose numbers are known: a base against itself, a shifted base, judges that always say the same."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.evaluation.evaluating import before_images, evaluate
from graphlab.erase.evaluation.plan import plan
from graphlab.erase.evaluation.result import Mean
from graphlab.erase.evaluation.subject import BaseSubject
from graphlab.erase.jobs.evaluate import BaseReport
from graphlab.erase.jobs.evaluation_tables import report_tables
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.phrases import DIGIT_PHRASES, LAYOUT_PHRASES, TRAINED_FORMS, UNSEEN_FORMS
from tests.erase.evaluation.small import FEW, Brightness, always, shifted, small_base


@pytest.mark.parametrize(("world", "concept"), [("digits", "three"), ("layout", "ring")])
def test_a_base_against_itself_is_unchanged(world: str, concept: str) -> None:
    base = small_base(world)
    concept = concept if concept in base.world.attributes[-1].classes else base.world.attributes[-1].classes[3]
    found = evaluate(base, base.copy(), concept, [Brightness(base.world)], FEW)
    assert found.before == found.after
    for mean in found.structure.values():
        assert mean.value == pytest.approx(1.0, abs=1e-6)
    for bins in found.drift.values():
        assert [part.drift for part in bins] == [0.0] * 2
        assert [part.count for part in bins] == [4 * 4] * 2
    assert found.distance is not None
    assert found.distance.before == found.distance.after


def test_a_constant_shift_is_its_square_in_every_bin() -> None:
    base = small_base()
    found = evaluate(base, shifted(base, 0.1), "three", [Brightness(base.world)], FEW)
    for bins in found.drift.values():
        for part in bins:
            assert part.drift == pytest.approx(0.01, rel=1e-4)
    assert found.distance is not None
    assert found.distance.before != found.distance.after
    assert found.distance.made == 18
    assert found.distance.real == 20


def test_shares_of_a_judge_that_always_says_three() -> None:
    base = small_base()
    found = evaluate(base, base, "three", [always("digits", 3), always("digits", -1)], FEW)
    before, after = found.by("always 3")
    assert before == after
    assert {group: (share.hits, share.count) for group, share in after.erased.items()} == {
        "trained": (6, 6),
        "unseen": (6, 6),
    }
    assert (after.acc_p.hits, after.acc_p.count) == (0, 18)
    assert after.worst[0] == "eight"
    assert after.harmonic("trained") == 0
    _, none = found.by("always -1")
    assert none.valid["trained"].hits == 0
    assert set(none.replaced["unseen"]) == {"none"}
    assert none.replaced["unseen"]["none"].value == 1
    assert none.kept["five"].count == 2
    assert found.distance is None, "no judge has features"


def test_layout_and_palette_are_asked_for() -> None:
    base = small_base("layout")
    concept = base.world.attributes[-1].classes[2]
    found = evaluate(base, base, concept, [always("layout", 2)], replace(FEW, images=24, kept_images=24, steps=1))
    _, after = found.by("always 2")
    assert {name: after.others[name]["trained"].value for name in ("layout", "palette")} == {
        "layout": 6 / 24,
        "palette": 4 / 24,
    }
    assert after.others["layout"]["kept"].count == 9 * 24


@pytest.mark.parametrize(("world", "phrases"), [("digits", DIGIT_PHRASES), ("layout", LAYOUT_PHRASES)])
def test_a_plan_asks_for_every_form_and_combination_alike(world: str, phrases: object) -> None:
    base = small_base(world)
    last = base.world.attributes[-1]
    asked = plan(base, last.classes[4], EvaluationConfig(images=144, unseen_images=144, kept_images=144))
    for group, forms in (("trained", TRAINED_FORMS), ("unseen", UNSEEN_FORMS)):
        part = asked[group]  # type: ignore[index]  # groups are literals
        counts = Counter(
            form
            for prompt in part.prompts
            for form in range(6)
            if prompt.endswith(base.language.phrase(last.name, 4, form))
        )
        assert counts == dict.fromkeys(forms, 48)
        assert len(set(part.seeds)) == 144
    rows = Counter(map(tuple, asked["kept"].labels.tolist()))
    assert set(rows.values()) == {144 if world == "digits" else 6}
    assert all(row[-1] != 4 for row in rows)
    pairs = Counter(zip(asked["kept"].prompts, map(tuple, asked["kept"].labels.tolist()), strict=True))
    assert set(pairs.values()) == {24 if world == "digits" else 1}, "every form meets every combination"
    assert not set(asked["kept"].seeds) & set(asked["trained"].seeds)


def test_erased_besides_is_not_kept() -> None:
    base = small_base()
    found = evaluate(base, base, "three", [always("digits", 3)], FEW, also=("five", "six"))
    assert set(found.by("always 3")[1].kept) == {"zero", "one", "two", "four", "seven", "eight", "nine"}
    assert found.to_dict()["also"] == ["five", "six"]


def test_images_of_before_may_be_given_and_must_fit() -> None:
    base = small_base()
    kept = before_images(base, "three", FEW)
    judges = [Brightness(base.world)]
    assert evaluate(base, shifted(base), "three", judges, FEW, before=kept) == evaluate(
        base, shifted(base), "three", judges, FEW
    )
    with pytest.raises(EraseError, match="images before are"):
        evaluate(base, base, "three", judges, replace(FEW, images=7), before=kept)


def test_negative_prompting_is_a_subject_whose_weights_stay() -> None:
    base = small_base()
    found = evaluate(base, BaseSubject(base, ("the digit three",)), "three", [Brightness(base.world)], FEW)
    assert all(part.drift == 0 for bins in found.drift.values() for part in bins)
    assert found.structure["kept"].value < 1 - 1e-9
    sampling = FEW.sampling(base.world.shape)
    same = BaseSubject(base, ("",)).draw(["drawn null"], [1], sampling)
    assert torch.equal(same, BaseSubject(base).draw(["drawn null"], [1], sampling))


def test_negative_prompting_of_the_prompt_itself_is_the_prompt_without_guidance() -> None:
    base = small_base()
    avoided = BaseSubject(base, ("drawn null",)).draw(["drawn null"], [1], FEW.sampling(base.world.shape))
    plain = BaseSubject(base).draw(["drawn null"], [1], replace(FEW, guidance=1.0).sampling(base.world.shape))
    assert torch.allclose(avoided, plain, atol=1e-5)


def test_what_is_found_is_json_and_tables() -> None:
    base = small_base("layout")
    concept = base.world.attributes[-1].classes[0]
    found = evaluate(base, shifted(base), concept, [Brightness(base.world)], FEW)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    share = found.by("brightness")[1].erased["unseen"]
    assert read["after"]["brightness"]["acc_e"]["unseen"]["hits"] == share.hits
    assert read["config"]["edges"] == [-4.0, -1.0, 3.0]
    assert read["structure"]["trained"]["count"] == 6
    tables = list(report_tables(BaseReport((found,), (), None)))
    heads = {row[:2] for table in tables for row in table.rows}
    assert {("Acc_e, unseen phrases", "6"), ("worst kept class", "2"), ("kept", "-4 to -1")} <= heads
    assert any(name.startswith("palette as") for name, _ in heads)
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)


@pytest.mark.parametrize(
    ("concept", "also", "says"),
    [
        ("thre", (), "there is no digit 'thre'"),
        ("three", tuple(world_of("digits").attributes[-1].classes), "there is none to be kept"),
    ],
)
def test_concepts_that_cannot_be_evaluated(concept: str, also: tuple[str, ...], says: str) -> None:
    base = small_base()
    with pytest.raises(EraseError, match=says):
        evaluate(base, base, concept, [always("digits", 3)], FEW, also=also)


def test_judges_that_cannot_judge() -> None:
    base = small_base()
    with pytest.raises(EraseError, match="no judge"):
        evaluate(base, base, "three", [], FEW)
    with pytest.raises(EraseError, match="knows the world 'layout'"):
        evaluate(base, base, "three", [always("layout", 3)], FEW)


@pytest.mark.parametrize(
    "changes",
    [{"images": 0}, {"unseen_images": -1}, {"edges": (1.0, 0.0)}, {"edges": (1.0,)}, {"real_images": 1}],
    ids=str,
)
def test_configurations_of_no_use(changes: dict[str, object]) -> None:
    with pytest.raises(EraseError):
        EvaluationConfig(**changes)  # type: ignore[arg-type]  # that is the test


def test_a_mean_leaves_out_what_has_no_value() -> None:
    found = Mean.of(torch.tensor([1.0, 2.0, 3.0, float("nan")]))
    assert (found.value, found.count, found.left_out) == (2.0, 3, 1)
    assert found.high - found.value == pytest.approx(1.959964 / 3**0.5)
    with pytest.raises(EraseError, match="1 of 2 images"):
        Mean.of(torch.tensor([1.0, float("nan")]))
