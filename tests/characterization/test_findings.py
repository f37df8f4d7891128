"""Findings: verdicts that follow from evidence, and every claim answered whatever the models."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.characterization.data import Characterization
from graphlab.characterization.findings import findings
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
