"""Small attention modules in many spellings, and the facts about them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from graphlab.facts import AttentionSite
from graphlab.sources.bare import program_workload
from graphlab.sources.module import capture
from graphlab.stage_analysis import Options, StageAnalysis, analyze_stage

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Projected(nn.Module):
    """q, k, v projections of width 16 around `attend`; `context` None makes it self-attention."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        context = x if context is None else context
        return self.attend(self.q(x), self.k(context), self.v(context))


def analysis_of(module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> StageAnalysis:
    """The analysis of `module` called with `args`."""
    workload = program_workload(capture(module.eval(), args, dynamic="auto" if dynamic else False), "test")
    return analyze_stage(workload, workload.stages[0], Options())


def sites_of(attend: Attend, *, cross: bool = False, dynamic: bool = True) -> tuple[AttentionSite, ...]:
    """The attentions of `attend` over 5 queries and, when `cross`, 7 keys; batch 2."""
    args = (torch.randn(2, 5, 16), torch.randn(2, 7, 16)) if cross else (torch.randn(2, 5, 16),)
    return analysis_of(Projected(attend), *args, dynamic=dynamic).sites
