"""What one node is told to be."""

from __future__ import annotations

import pytest

from graphlab.errors import UnknownNameError
from graphlab.report.explain import explain_node
from tests.report.sample import UNET, report


def test_a_node_with_its_neighbours_and_shares() -> None:
    found = explain_node(UNET, "conv")
    assert [(item.name, item.kind, item.shape) for item in found.operands] == [
        ("sample", "input", (2, 4, 8, 8)),
        ("weight", "weight", None),
    ]
    assert found.consumers == ("norm",)
    assert found.flops_share == 40_000 / 42_000
    assert found.intensity == 40_000 / 300
    assert (found.bound, found.ridge, found.seconds_share, found.attention) == (None, None, None, None)
    assert "none have run" in found.rewrites


def test_a_device_adds_the_bound() -> None:
    stage = report().stages[0]
    assert explain_node(stage, "conv").bound == "compute"
    assert explain_node(stage, "norm").bound == "memory"
    assert explain_node(stage, "conv").seconds_share == 4.0 / 15.0


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
