"""Outcomes of rules: exact at their limits, unknown where something is not known, undecided within the noise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from graphlab import AnalysisReport, diff
from graphlab.diffing.errors import PlaceError
from graphlab.report.data import AnalysisReport as Report
from graphlab.report.diff_data import Change, RuleResult
from tests.diffing.samples import (
    ALL,
    BASE,
    BENCH,
    CHARACTERIZATION,
    EVERYTHING,
    KNOWN,
    PAIR,
    PROFILE,
    bench_report,
    times,
)
from tests.report.sample import DECODER, UNET, report

assert AnalysisReport is Report


def scaled(flops: int) -> AnalysisReport:
    """PAIR with other FLOP of the stage unet, which has 4,200,000 of the 4,242,000 of a generation."""
    return replace(PAIR, stages=(replace(PAIR.stages[0], flops_total=flops), PAIR.stages[1]))


def only(rule: str, a: object, b: object) -> RuleResult:
    """The single result of `rule`."""
    (found,) = diff(a, b, fail_if=(rule,)).rules  # type: ignore[arg-type]  # reports of any kind
    return found


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("unet.flops > +1%", "held"),  # exactly at the limit
        ("unet.flops >= +1%", "violated"),
        ("unet.flops > 0.999999999%", "violated"),
        ("unet.flops > +42k", "held"),
        ("unet.flops > +41999", "violated"),
        ("unet.flops == 4242000", "violated"),
        ("flops > +0.99%", "violated"),  # of the total, 42,000 of 4,242,000 are 0.9901 %
        ("flops > +1%", "held"),
        ("decoder.flops != +0", "held"),
        ("flops < -1%", "held"),
        ("unet.convolution.flops != +0", "held"),
        ("unet.category:convolution.flops > 39.9k", "violated"),
        ("unet.op:'aten.conv2d.default'.flops >= 40000", "violated"),
        ("unet.embedding.flops > 0", "held"),  # a category that does not occur costs nothing
    ],
)
def test_a_rule_is_exact_at_its_limit(rule: str, outcome: str) -> None:
    assert only(rule, PAIR, scaled(4_242_000)).outcome == outcome


def test_the_words_say_both_sides_and_the_change() -> None:
    found = only("unet.flops > +0.5%", PAIR, scaled(4_242_000))
    assert found.where == "unet.flops"
    assert found.why == "unet.flops went from 4.2 MFLOP to 4.242 MFLOP: +1 %"


def test_bytes_go_by_the_name_that_says_which_they_are() -> None:
    assert only("unet.bytes_fused > +0%", PAIR, PAIR).outcome == only("unet.bytes > +0%", PAIR, PAIR).outcome == "held"
    with pytest.raises(PlaceError, match=r"reports of `graphlab analyze` have no bytes_spelled .they have bytes_fused"):
        only("unet.bytes_spelled > 1", PAIR, PAIR)
    assert only("bytes_spelled > +0%", ALL["rewrite"], ALL["rewrite"]).outcome == "held"
    with pytest.raises(PlaceError, match="have no bytes_fused"):
        only("bytes_fused > 1", ALL["rewrite"], ALL["rewrite"])


def test_from_nothing_to_nothing_is_no_change_and_to_something_an_infinite_one() -> None:
    assert only("unet.cache_bytes > 0%", PAIR, PAIR).outcome == "held"
    grown = replace(PAIR, stages=(replace(PAIR.stages[0], cache_bytes=1), PAIR.stages[1]))
    found = only("unet.cache_bytes > +1000%", PAIR, grown)
    assert (found.outcome, found.why.split(": ")[1]) == ("violated", "from nothing to something")
    assert only("unet.cache_bytes > 0%", grown, PAIR).outcome == "held"


def test_a_calls_without_a_rule_makes_flops_unknown_not_nothing() -> None:
    found = only("flops > +1000%", report(), report())
    assert (found.outcome, "1 calls without a rule" in found.why) == ("unknown", True)
    assert only("unet.flops < 1", report(), report()).outcome == "unknown"
    assert only("decoder.flops > 0%", report(), report()).outcome == "held"
    assert only("bytes > 0%", report(), report()).outcome == "held"
    one_side = only("flops > 1P", report(), PAIR)  # a level is about b alone
    assert one_side.outcome == "held"


def test_seconds_without_a_device_are_unknown() -> None:
    bare = report(device=False, stages=(KNOWN, DECODER))
    assert only("seconds > 1s", bare, bare).outcome == "unknown"
    assert only("seconds > 1s", PAIR, bare).outcome == "unknown"
    assert only("seconds > 1e9s", bare, PAIR).outcome == "held"


def test_a_stage_that_is_new_costs_what_it_costs() -> None:
    found = diff(report(stages=(KNOWN,)), PAIR, fail_if=("decoder.flops > +1%", "decoder.flops > +41k"))
    assert [item.outcome for item in found.rules] == ["violated", "violated"]
    assert [(part.name, part.status) for part in found.parts] == [("unet", "same"), ("decoder", "added")]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("uned.flops > 1", "uned is no stage (did you mean 'unet'? stages: unet, decoder;"),
        ("uned.attention.flops > 1", "neither side has a stage 'uned'"),
        ("unet.atention.flops > 1", "neither side has a group 'atention'"),
        ("unet.linear.bytes > 1", "unet.linear has no bytes here (it has: flops, pointwise, bytes_materialized,"),
        ("unet.a.b.flops > 1", "b lies in no group of a"),
        ("seconds_idle > 1", "has no seconds_idle here"),
        ("attention.flops > 1", "attention is no stage (stages: unet, decoder; write unet.attention.flops for a group"),
        ("stage:attention.flops > 1", "neither side has a stage 'attention'"),
        ("unet.op:conv.flops > 1", "neither side has a op 'conv'"),
    ],
)
def test_a_place_that_is_not_there_is_an_error_with_the_nearest(rule: str, message: str) -> None:
    with pytest.raises(PlaceError) as caught:
        diff(PAIR, PAIR, fail_if=(rule,))
    assert message in str(caught.value)


def slower(factor: float) -> object:
    """BENCH, every sample `factor` times as long."""
    candidate = BENCH.stages[0].candidates[0]
    assert candidate.times is not None
    return bench_report(replace(BASE, times=times(*(factor * second for second in candidate.times.samples))))


@pytest.mark.parametrize(
    ("rule", "factor", "outcome"),
    [
        ("seconds > +20%", 2.0, "violated"),
        ("seconds > +20%", 1.0, "held"),
        ("seconds > +0%", 1.0, "undecided"),
        ("unet.seconds > +0%", 1.01, "undecided"),
        ("unet.eager.seconds < -10%", 0.5, "violated"),
        ("seconds > 1.5s", 1.0, "violated"),
        ("seconds > 2s", 1.0, "undecided"),
        ("seconds > 3s", 1.0, "held"),
        ("seconds > +500ms", 2.0, "violated"),
        ("seconds > +1ms", 1.0, "undecided"),
        ("compile_seconds > 1s", 1.0, "unknown"),
    ],
)
def test_measured_times_are_held_to_their_whole_interval(rule: str, factor: float, outcome: str) -> None:
    found = only(rule, BENCH, slower(factor))
    assert (found.where.split(".")[:2], found.outcome) == (["unet", "eager"], outcome)


def test_few_rounds_and_a_profile_have_no_interval() -> None:
    found = diff(EVERYTHING, EVERYTHING, fail_if=("seconds > +50%",)).rules
    assert len(found) == len(EVERYTHING.stages[0].candidates)
    assert {item.outcome for item in found} == {"unknown"}
    assert "takes 6 rounds of each, and there are 3 and 3" in found[0].why
    assert "not timed: wrong: output 1 differs" in found[4].why
    profiled = only("unet.seconds > +1%", PROFILE, PROFILE)
    assert (profiled.outcome, "no samples" in profiled.why) == ("unknown", True)


def test_models_of_a_characterization_are_parts_and_their_stages_groups() -> None:
    assert only("toy.stage:unet.seconds > 0.5s", CHARACTERIZATION, CHARACTERIZATION).outcome == "violated"
    assert only("seconds_compiled > 0%", CHARACTERIZATION, CHARACTERIZATION).outcome == "unknown"
    two = replace(
        CHARACTERIZATION, models=(CHARACTERIZATION.models[0], replace(CHARACTERIZATION.models[0], name="other"))
    )
    with pytest.raises(PlaceError, match=r"write NAME\.seconds: toy, other"):
        diff(two, two, fail_if=("seconds > 0%",))
    assert only("other.seconds > 0%", two, two).outcome == "held"


def test_relative_changes_of_odd_numbers() -> None:
    assert Change("flops", "FLOP", 0, 0).relative == 0.0
    assert Change("flops", "FLOP", 0, 5).relative == math.inf
    assert Change("flops", "FLOP", None, 5).relative is None
    assert Change("flops", "FLOP", 1, 10**400).relative == math.inf
    assert Change("flops", "FLOP", 10**400, 10**400 + 1).relative == 0.0
    assert UNET.unknown
