"""Findings: verdicts that follow from evidence, and every claim answered whatever the models."""

from __future__ import annotations

from dataclasses import replace

import pytest

import graphlab
from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.data import Characterization
from graphlab.characterization.findings import falls_and_rises, findings, speedup_verdict
from graphlab.report.finding import VERDICTS, Finding

NEEDS_SWEEPS = {"similarity-memory", "convolution-scaling", "frames"}


def by_name(suite: Characterization) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(suite)}


def test_every_claim_has_a_verdict_and_evidence(small: Characterization) -> None:
    found = by_name(small)
    assert len(found) == 8
    for finding in found.values():
        assert finding.verdict in VERDICTS
        assert finding.evidence
        assert finding.to_dict()["verdict"] == finding.verdict


def test_without_sweeps_the_claims_about_sizes_say_so(small: Characterization) -> None:
    found = by_name(small)
    for name in NEEDS_SWEEPS:
        assert found[name].verdict == "not applicable"
        assert "sweeps" in found[name].evidence[0]


def test_the_sequence_length_of_a_unet_falls_by_4_and_rises_again(small: Characterization) -> None:
    found = by_name(small)["sequence-length"]
    assert found.verdict == "reproduced"
    assert "neighbours 4x apart" in found.evidence[0]


@pytest.mark.parametrize("kept", [0, 1])
def test_claims_that_compare_families_need_both(small: Characterization, kept: int) -> None:
    alone = replace(small, models=(small.models[kept],))
    assert by_name(alone)["attention-speedup"].verdict == "not applicable"
    assert by_name(alone)["intensity"].verdict == "not applicable"
    assert by_name(alone)["temporal-attention"].verdict == "not applicable"


def test_a_denoiser_has_a_higher_intensity_than_a_decoder_of_tokens(small: Characterization) -> None:
    assert by_name(small)["intensity"].verdict == "reproduced"


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.9, "not reproduced"),
        (1.05, "partly reproduced"),
        (1.1, "reproduced"),
        (2.5, "reproduced"),
        (3.0, "partly reproduced"),
    ],
)
def test_the_speedup_must_lie_where_the_claim_says(ratio: float, verdict: str) -> None:
    assert speedup_verdict(ratio) == verdict


@pytest.mark.parametrize(
    ("lengths", "back"),
    [
        ([64, 16, 4, 16, 64], True),
        ([64, 64, 16], False),
        ([16, 64], False),
        ([64, 16, 64, 16, 64], False),
        ([9], False),
    ],
    ids=["back", "only down", "only up", "twice", "one"],
)
def test_down_and_up_again_is_both(lengths: list[int], back: bool) -> None:
    assert falls_and_rises(lengths) is back


def test_a_sampler_of_one_step_and_windows_of_a_decoder_keep_their_families() -> None:
    once = model_run(graphlab.load("stable-diffusion-v1-5-tiny", steps=1), BuildOptions())
    assert [stage.family for stage in once.stages] == ["one pass", "diffusion", "one pass"]
    windows = model_run(graphlab.load("phenaki-tiny", frames=23), BuildOptions())
    families = {stage.name: (stage.family, len(stage.run.steps)) for stage in windows.stages}
    assert families["detokenizer"] == (*families["tokenizer"][:1], 3) == ("one pass", 3)
    assert families["transformer"][0] == windows.family == "masked transformer"


def test_intensity_is_compared_with_language_models_alone(small: Characterization) -> None:
    parti = replace(small, models=(small.models[0], small.models[3]))
    assert by_name(parti)["intensity"].verdict == "not applicable"
