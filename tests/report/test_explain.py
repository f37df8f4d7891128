"""What one node is told to be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.errors import UnknownNameError
from graphlab.report.explain import explain_node
from graphlab.roofline import with_estimate
from tests.report.sample import DECODER, DEVICE, UNET, report


def test_a_node_with_its_neighbours_and_shares() -> None:
    found = explain_node(UNET, "conv")
    assert [(item.name, item.kind, item.shape) for item in found.operands] == [
        ("sample", "input", (2, 4, 8, 8)),
        ("weight", "weight", None),
    ]
    assert found.consumers == ("norm",)
    assert found.flops_share is None  # another call of the stage has no rule: nobody knows the whole
    assert explain_node(DECODER, "conv").flops_share == 40_000 / 42_000
    assert found.intensity == 40_000 / 300
    assert (found.bound, found.ridge, found.seconds_share, found.attention) == (None, None, None, None)
    assert "none have run" in found.rewrites


def test_a_device_adds_the_bound() -> None:
    stage = report().stages[0]
    assert explain_node(stage, "conv").bound == "compute"
    assert explain_node(stage, "norm").bound == "memory"
    assert explain_node(stage, "conv").seconds_share == 4.0 / 15.0


def test_the_bound_is_that_of_the_peak_the_call_runs_at() -> None:
    """A float32 convolution runs at the TF32 peak, where the ridge of float32 is not what it turns at."""
    peaks = {"float32": 1_000.0, "tf32": 100_000.0}
    stage = replace(UNET, dtype="float32", nodes=(replace(UNET.nodes[0], dtype="float32"),))
    timed = with_estimate(stage, {}, replace(DEVICE, peak_flops=peaks))
    found = explain_node(timed, "conv")
    assert timed.estimate is not None
    assert (found.intensity, timed.estimate.ridge) == (40_000 / 300, 1_000 / 100)
    assert (timed.nodes[0].seconds, found.bound, found.ridge) == (300 / 100, "memory", None)
    assert explain_node(report().stages[0], "conv").ridge == 10_000 / 100


def test_a_member_of_an_attention_shows_the_attention() -> None:
    found = explain_node(UNET, "mix")
    assert found.attention is not None
    assert found.attention.node == "softmax"
    assert found.operands == ()


def test_an_op_without_a_rule_has_no_share() -> None:
    found = explain_node(UNET, "mystery")
    assert (found.flops_share, found.intensity, found.bound) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("convv", "stage unet has no node 'convv' .did you mean 'conv'"),
        ("sample", "'sample' is an input of stage unet"),
        ("weight", "'weight' is a weight of stage unet"),
    ],
)
def test_what_is_no_call(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        explain_node(UNET, name)
