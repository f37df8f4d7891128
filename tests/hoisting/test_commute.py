"""Repeated rows are projected once; what is not row by row stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from graphlab.hoisting.commute import WHY
from graphlab.hoisting.hoist import hoist
from graphlab.hoisting.result import HoistResult
from graphlab.program import Program
from tests.hoisting.loops import Loop
from tests.hoisting.models import WIDTH, program

Spell = Callable[[torch.Tensor, Any], torch.Tensor]

SPELLINGS: dict[str, Spell] = {
    "repeat_interleave": lambda text, frames: text.repeat_interleave(frames, dim=0),
    "expand": lambda text, frames: text[:, None].expand(-1, frames, -1, -1).reshape(-1, text.shape[1], WIDTH),
    "expand_sizes": lambda text, frames: text[:, None].expand(text.shape[0], frames, 5, WIDTH).flatten(0, 1),
    "broadcast": lambda text, frames: text[:, None].broadcast_to(2, frames, 5, WIDTH).reshape(-1, 5, WIDTH),
    "repeat": lambda text, frames: text[:, None].repeat(1, frames, 1, 1).view(-1, text.shape[1], WIDTH),
    "whole_repeat": lambda text, frames: text.repeat(frames, 1, 1),
    "first_of_repeated": lambda text, frames: text[:, None].expand(-1, frames, -1, -1).transpose(0, 1).flatten(0, 1),
}


def frames_of(self: Any, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Each frame of the sample (batch, frames, width) attends to its row of text (batch frames, tokens, width)."""
    query = self.query(sample.reshape(-1, 1, WIDTH))
    keys = self.norm(torch.nn.functional.silu(self.key(text)) * self.frequencies)
    return torch.nn.functional.scaled_dot_product_attention(query, keys, self.value(text))


def split(spell: Spell, *, dynamic: bool) -> tuple[Program, HoistResult]:
    def forward(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return frames_of(self, sample, spell(text, sample.shape[1]))

    item = program(forward, dynamic=dynamic)
    return item, hoist(item, invariant=("text",), schedule=("timestep",))


@pytest.mark.parametrize("name", SPELLINGS)
def test_projections_of_repeated_text_are_made_once(name: str) -> None:
    item, result = split(SPELLINGS[name], dynamic=name in ("repeat_interleave", "expand"))
    linear = 2 * 2 * 2 * 5 * WIDTH * WIDTH
    assert result.report.prologue.flops == linear
    assert result.report.before.flops - result.report.step.flops == linear * 3
    assert {value.nbytes for value in result.boundary} == {2 * 5 * WIDTH * 4}
    assert sum(change.why == WHY for change in result.changes) == 5
    assert max(Loop(item, result).errors()) < 1e-10
    assert max(Loop(item, result, double=False).errors()) < 1e-5


NEAR: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    "last_axis_is_repeated": lambda self, text: self.key(text[..., :1].expand(-1, -1, WIDTH)),
    "last_axis_moves": lambda self, text: self.key(text.repeat(1, WIDTH, 1)[:, :WIDTH].transpose(1, 2)),
    "rows_are_mixed": lambda self, text: torch.cumsum(text.repeat_interleave(3, 0), 1),
    "every_row_has_its_own_weight": lambda self, text: text.repeat(1, WIDTH, 1)[:, :WIDTH].mul(self.key.weight),
    "norm_over_two_axes": lambda self, text: torch.nn.functional.layer_norm(text.repeat(3, 1, 1), (5, WIDTH)),
    "nothing_is_repeated": lambda self, text: self.key(text[:, None].transpose(0, 1)),
}


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_stay(name: str) -> None:
    def forward(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return sample * NEAR[name](self, text)[..., :3].sum()

    item = program(forward, dynamic=False)
    result = hoist(item, invariant=("text",))
    assert not any(change.why == WHY for change in result.changes)
    assert max(Loop(item, result).errors()) < 1e-10


def test_repeats_of_what_steps_are_not_touched() -> None:
    def forward(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return self.key(sample.repeat_interleave(2, dim=0)) + self.value(text).sum()

    result = hoist(program(forward, dynamic=False), invariant=("text",))
    targets = [node.target for node in result.step.graph.calls]
    assert targets.index("aten.repeat_interleave.self_int") < targets.index("aten.linear.default")
