"""What the pass of examples/feature_reuse.py takes for deep, on small modules whose resolutions data flow tells."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphlab
from examples.feature_reuse import ReuseDeepFeatures
from graphlab.errors import GraphlabError, UnknownNameError
from graphlab.program import Program
from graphlab.rewriting.options import build
from tests.reuse.models import inside, program, workload


def test_deep_is_what_lies_at_the_low_resolution() -> None:
    deep = ReuseDeepFeatures().features(program())
    assert deep >= inside(program(), "middle") | inside(program(), "down")
    assert not deep & (inside(program(), "first") | inside(program(), "last") | inside(program(), "time"))
    result = ReuseDeepFeatures(every=5).run_stage(workload(), "unet", program())
    assert [item.module for item in result.kept] == ["up"]
    assert result.report is not None
    assert result.report.refreshes == 2


def test_a_module_is_named_by_its_path() -> None:
    assert ReuseDeepFeatures(module="middle").features(program()) == inside(program(), "middle")
    with pytest.raises(UnknownNameError, match="has no module 'midle'"):
        ReuseDeepFeatures(module="midle").features(program())


def captured(module: nn.Module) -> Program:
    return graphlab.capture(module.eval(), (torch.randn(2, 4, 8, 12),))


class Pooled(nn.Module):
    """Channels scaled by what the whole image says: a mean is of no resolution, so nothing is deep."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scale = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 4)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.first(sample)
        return x * self.scale(x.mean((2, 3)))[..., None, None]


class Patches(nn.Module):
    """A transformer's way: everything lies at the resolution of patches, and nothing beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.join = nn.Conv2d(4, 8, 2, stride=2), nn.ConvTranspose2d(8, 4, 2, stride=2)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.join(torch.relu(self.cut(sample)))
        return made


@pytest.mark.parametrize(
    ("module", "options", "reason"),
    [
        (Pooled, {}, "none of its values that step"),
        (Patches, {}, "it would stay what it was"),
        (Patches, {"depth": "2"}, "none of its values that step"),
    ],
    ids=["a mean", "patches", "too deep"],
)
def test_what_has_nothing_deep_says_so(module: type[nn.Module], options: dict[str, str], reason: str) -> None:
    result = build(ReuseDeepFeatures, options).run(captured(module()))
    assert not result.modified
    assert reason in result.reason


@pytest.mark.parametrize("option", ["every", "depth"])
def test_options_are_at_least_one(option: str) -> None:
    with pytest.raises(GraphlabError, match=f"{option}=0 is not an integer of at least 1"):
        build(ReuseDeepFeatures, {option: "0"})
