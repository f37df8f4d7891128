"""What is read from rows: endpoints, rates, claims and tables, on curves whose answers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from benchmarks.erasure.study.claims import Claim, claims, endpoints
from benchmarks.erasure.study.endpoint import Endpoint, bracket, curve_of, endpoint, score
from benchmarks.erasure.study.report import report
from benchmarks.erasure.study.runs import ATTACKED, CONCEPTS, MAIN, PARTS, RATES, Run, runs, tuned_as
from benchmarks.erasure.study.store import gather, is_done, read, rows_of, spread, write_rows
from benchmarks.erasure.study.tables import of_claims, rates
from benchmarks.erasure.study.working import best_rate, rate_of
from graphlab.erase.errors import EraseError
from graphlab.erase.methods.known import METHODS
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.shipped import BASES

JUDGES = ("cnn", "report")


def row(acc_e: float, structure: float, worst: float, **about: object) -> dict[str, object]:
    """A checkpoint as rows have it, by both judges; the base has the concept whole and every class too."""
    made: dict[str, object] = {
        "base": "b",
        "base_sha256": "1",
        "structure": structure,
        "kid_after": 0.1,
        "kid_before": 0.0,
        **about,
    }
    made |= {f"drift_{name}": "-4:0.25 -0.5:0.5" for name in ("concept", "kept", "empty")}
    made["report_replaced"] = "nine:0.5 three:0.25"
    for judge in JUDGES:
        made |= {f"{judge}_{name}": 1.0 for name in ("acc_e_before", "worst_before", "acc_p", "valid", "h_c")}
        made |= {f"{judge}_acc_e": acc_e, f"{judge}_acc_e_unseen": acc_e, f"{judge}_worst": worst}
    return made


def named(run: Run) -> dict[str, object]:
    """What rows of a run are named by."""
    about: dict[str, object] = {"base": run.base, "base_sha256": run.base, "concepts": "+".join(run.concepts)}
    return {**about, "stage": run.stage, "method": run.method, "seed": run.seed}


def text(made: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in made.items()}


@pytest.mark.parametrize(
    ("curve", "found"),
    [
        ([(1.0, 1.0, 1.0), (0.0, 0.5, 0.9)], Endpoint(0.6, 0.92)),
        ([(1.0, 1.0, 1.0), (0.6, 0.8, 0.7), (0.2, 0.4, 0.3), (0.0, 0.0, 0.0)], Endpoint(0.4, 0.3)),
        ([(1.0, 1.0, 1.0), (0.1, 0.8, 0.9), (0.9, 0.4, 0.3), (0.0, 0.0, 0.0)], Endpoint(0.8 + 0.2 / 9, 0.9 + 0.1 / 9)),
        ([(1.0, 1.0, 1.0), (0.5, 0.8, 0.9), (0.21, 0.4, 0.3)], None),
        ([(1.0, 1.0, 1.0)], None),
    ],
    ids=("line", "hit", "first-crossing", "never", "base-alone"),
)
def test_the_endpoint_is_interpolated_at_a_fifth(
    curve: list[tuple[float, float, float]], found: Endpoint | None
) -> None:
    made = endpoint(curve)
    if found is None:
        assert made is None
    else:
        assert made is not None
        assert (made.structure, made.worst) == pytest.approx((found.structure, found.worst))


def test_a_curve_begins_at_the_base() -> None:
    rows = [text(row(0.6, 0.8, 0.7)), text(row(0.1, 0.5, 0.4))]
    assert curve_of(rows, "report") == [(1.0, 1.0, 1.0), (0.6, 0.8, 0.7), (0.1, 0.5, 0.4)]


@pytest.mark.parametrize(
    ("acc_e", "found"),
    [
        ([1.0, 0.1, 0.0], {0}),
        ([1.0, 0.9, 0.2, 0.0], {0, 1}),
        ([1.0, 0.9, 0.1, 0.9, 0.0], {0, 1}),
        ([1.0, 0.9], set()),
        ([1.0], set()),
        ([0.1, 0.9, 0.0], {0, 1}),
    ],
)
def test_the_endpoint_is_read_off_its_bracket_alone(acc_e: list[float], found: set[int]) -> None:
    assert bracket(acc_e) == found
    curve = [(value, 0.9 - 0.1 * index, 0.8 - 0.1 * index) for index, value in enumerate(acc_e)]
    unknown = [
        (value, structure, worst if index - 1 in found or index == 0 else float("nan"))
        for index, (value, structure, worst) in enumerate(curve)
    ]
    assert endpoint(unknown) == endpoint(curve)


def test_a_rate_that_gets_there_is_better_than_one_that_does_not() -> None:
    kept = score([text(row(0.0, 0.9, 0.9))])
    spoilt = score([text(row(0.0, 0.1, 0.1))])
    near, far = score([text(row(0.3, 1.0, 1.0))]), score([text(row(0.9, 1.0, 1.0))])
    assert kept > spoilt > near > far


@pytest.mark.parametrize("part", PARTS)
def test_runs_are_named_once_and_can_be_made(part: str) -> None:
    made = runs(part)  # type: ignore[arg-type]  # PARTS are the literals
    assert len({run.key for run in made}) == len(made)
    for run in made:
        assert run.base in BASES
        assert run.method in METHODS or run.method == "base"
        world = world_of("layout" if run.base.startswith("layout") else "digits")
        assert set(run.concepts) <= set(world.attributes[-1].classes)
        assert (run.rate is not None) == (run.stage == "tune")
    stages = [run.stage for run in made]
    assert stages == sorted(stages, key=["tune", "report", "several", "attack"].index), "what others wait for is first"


def test_every_method_that_is_tuned_is_tuned_over_the_grid() -> None:
    for part in ("digits", "world"):
        made = runs(part)  # type: ignore[arg-type]  # as above
        for run in made:
            if run.stage != "tune" and (name := tuned_as(run.method)) is not None:
                tried = [other.rate for other in made if other.stage == "tune" and other.method == name]
                assert tried == list(RATES)
        assert not set(CONCEPTS[part]) & {concept for run in made if run.stage == "tune" for concept in run.concepts}
    assert tuned_as("uce") is None
    assert tuned_as("ant-c") == tuned_as("ant@2") == "ant"
    assert tuned_as("ant+intersection-24") == "ant+intersection-9"


def test_the_best_rate_of_tuning_is_taken(tmp_path: Path) -> None:
    structure = dict(zip(RATES, (0.7, 0.9, 0.9, 0.1), strict=True))
    for run in runs("digits"):
        if run.stage == "tune" and run.method == "ant":
            assert run.rate is not None
            write_rows(tmp_path, run, [row(0.0, structure[run.rate], 0.9)])
    assert best_rate("digits", "ant", tmp_path) == RATES[1]
    report_run = Run("digits", "report", "digits-epsilon-1", ("three",), "ant-c", 1)
    assert rate_of(report_run, tmp_path) == RATES[1]
    assert rate_of(Run("attacks", "attack", "digits-epsilon-1", ("three",), "ant", 1), tmp_path) == RATES[1]
    assert rate_of(Run("digits", "report", "digits-epsilon-1", ("three",), "uce", 1), tmp_path) is None
    with pytest.raises(EraseError, match="is not done"):
        rate_of(Run("digits", "report", "digits-epsilon-1", ("three",), "esd", 1), tmp_path)


def test_rows_are_gathered_once_in_the_order_of_the_runs(tmp_path: Path) -> None:
    first, second = runs("digits")[:2]
    assert not is_done(tmp_path, first)
    write_rows(tmp_path, second, [{"method": "b", "n": 1}])
    write_rows(tmp_path, first, [{"method": "a", "n": 0}])
    write_rows(tmp_path, first, [{"method": "a", "n": 2}])
    (tmp_path / "rows" / f".{second.key}.csv.99").write_text("method,n\nb")  # cut off while it was written
    path = gather(tmp_path, "digits")
    assert read(path) == [{"method": "a", "n": "2"}, {"method": "b", "n": "1"}]
    assert gather(tmp_path, "digits").read_bytes() == path.read_bytes()
    with pytest.raises(EraseError, match="is not there"):
        read(tmp_path / "world.csv")
    with pytest.raises(EraseError, match="is not done"):
        rows_of(tmp_path, runs("digits")[2])


def test_a_gathered_file_is_enough_to_go_on(tmp_path: Path) -> None:
    made = [run for run in runs("digits") if run.stage == "tune"][:5] + list(runs("digits")[-2:])
    for number, run in enumerate(made):
        about = {"stage": run.stage, "base": run.base, "concepts": "+".join(run.concepts), "method": run.method}
        rate = "0.5" if run.rate is None else f"{run.rate:g}"
        write_rows(tmp_path / "one", run, [{**about, "seed": run.seed, "rate": rate, "n": number, "last": ""}] * 2)
    kept = gather(tmp_path / "one", "digits").read_bytes()
    (tmp_path / "two").mkdir()
    assert spread(tmp_path / "two", "digits") == 0
    (tmp_path / "two" / "digits.csv").write_bytes(kept)
    assert spread(tmp_path / "two", "digits") == len(made)
    assert spread(tmp_path / "two", "digits") == 0
    assert [run for run in runs("digits") if is_done(tmp_path / "two", run)] == made
    assert [rows_of(tmp_path / "two", run)[1]["n"] for run in made] == [str(number) for number in range(len(made))]
    assert gather(tmp_path / "two", "digits").read_bytes() == kept


def rows_with(gain: float, part: Literal["digits", "world"] = "digits") -> list[dict[str, str]]:
    """Reports of all methods of a part, each at its endpoint; ant keeps `gain` more structure than the others."""
    made = []
    for method in MAIN[part]:
        for index, concept in enumerate(CONCEPTS[part]):
            for seed in range(5):
                noise = 0.01 * ((7 * index + 3 * seed + len(method)) % 5)
                structure = 0.5 + noise + (gain if method == "ant" else 0.0)
                about = {"part": part, "stage": "report", "method": method, "concept": concept, "seed": seed}
                made.append(text(row(0.2, structure, 0.8 + noise, rate=1e-4, **about)))
    return made


def by_name(found: tuple[Claim, ...]) -> dict[tuple[str, str, str], Claim]:
    """The claims about digits."""
    return {(claim.first, claim.second, claim.quantity): claim for claim in found if claim.part == "digits"}


def test_a_large_difference_is_claimed_and_none_is_not() -> None:
    found = by_name(claims({"digits": rows_with(0.3)}))
    better = found["ant", "esd", "structure"]
    assert better.holds
    assert better.found is not None
    assert better.found.pairs == better.pairs == 15
    assert 0.28 < better.found.mean < 0.32
    assert not found["ant", "esd", "worst"].holds
    assert found["ant+intersection-9", "ant", "structure"].holds, "worse is a claim as well"


def test_what_is_claimed_of_one_part_does_not_hang_on_the_other() -> None:
    """Comparisons of a part that is not there count as if they came out with nothing."""
    for gain in (0.3, 0.003):
        digits = rows_with(gain)
        alone = claims({"digits": digits})
        assert len(alone) == 18
        assert [claim.pairs for claim in alone if claim.part == "world"] == [0] * 8
        assert not any(claim.holds for claim in alone if claim.part == "world")
        for other in (0.3, 0.0):
            both = claims({"digits": digits, "world": rows_with(other, "world")})
            assert all(later.holds for first, later in zip(alone, both, strict=True) if first.holds)
            assert all(claim.pairs == 15 for claim in both)


def test_without_endpoints_nothing_is_claimed() -> None:
    rows = rows_with(0.3)
    for index, made in enumerate(part for part in rows if part["method"] == "esd"):
        if index < 6:
            made["report_acc_e"] = "0.5"
    found = by_name(claims({"digits": rows}))
    assert found["ant", "esd", "structure"].found is None
    assert not found["ant", "esd", "structure"].holds
    assert (found["ant", "esd", "structure"].pairs, found["ant", "esd", "structure"].both) == (15, 9)
    assert "| digits | ant - esd | structure | 9 of 15 pairs: too few |" in of_claims(list(found.values()))
    assert found["ant", "esd+uncond", "structure"].holds
    assert sum(value is None for value in endpoints(rows).values()) == 6


def test_the_density_of_masks_is_a_mean_over_runs_and_not_over_checkpoints() -> None:
    about = {"stage": "report", "method": "salun", "rate": "0.1", "mask_evaluations": "10"}
    rows = [
        text({**about, "concept": concept, "seed": 0, "density": density})
        for concept, density in (("three", 0.5), ("three", 0.5), ("zero", 0.25))
    ]
    assert "| salun | 0.1 | 0.500, 0.250 | 10 |" in rates(rows)
    assert "| esd | 0.2 |  |  |" in rates([text({**about, "method": "esd", "rate": 0.2, "density": ""})])


def test_the_report_shows_every_concept_and_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="holds no rows"):
        report(tmp_path)
    by_key = {(made["method"], made["concept"], made["seed"]): made for made in rows_with(0.3)}
    for run in runs("digits"):
        key = (run.method, run.concepts[0], str(run.seed))
        if run.stage == "report" and key in by_key:
            write_rows(tmp_path, run, [{**by_key[key], **named(run)}])
    gather(tmp_path, "digits")
    for index, run in enumerate(runs("attacks")):
        write_rows(tmp_path, run, [{**named(run), "relearnt_after": "" if index % 2 else 5, "inverted": 0.25}])
    gather(tmp_path, "attacks")
    made = report(tmp_path)
    assert f"90 of {len(runs('digits'))} runs are done" in made
    assert f"0 of {len(runs('world'))} runs are done" in made
    assert "| ant | three | nine 0.50, three 0.25 | 0.250 0.500 | 0.250 0.500 | 0.250 0.500 |" in made
    whole = report(tmp_path, whole=True)
    assert "| ant |" in whole, "attacks are all there"
    assert "drawn instead" not in whole
    assert "### Claims" not in whole
    for concept in CONCEPTS["digits"]:
        assert f"| ant | {concept} | 5 of 5 | 0.8" in made
    assert "| digits | ant - esd | structure | +0.3" in made
    assert made.count("| yes |") >= 2
    for method in ATTACKED:
        assert f"| {method} | " in made
    assert "never" in made
    for block in made.split("\n\n"):
        lines = [line for line in block.split("\n") if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_rows_of_two_models_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    first, second = runs("digits")[:2]
    write_rows(tmp_path, first, [{**named(first), "rate": "", "base": "b", "base_sha256": "1"}])
    write_rows(tmp_path, second, [{**named(second), "rate": "", "base": "b", "base_sha256": "2"}])
    gather(tmp_path, "digits")
    with pytest.raises(EraseError, match="two models called b"):
        report(tmp_path)
