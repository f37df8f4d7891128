"""cost: FLOPs, pointwise FLOPs and bytes of every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.costing import node_costs
from graphlab.facts import NodeCost
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class CostAnalysis(Analysis[Mapping[str, NodeCost]]):
    """{call: NodeCost}; a call whose op has no rule has unknown FLOPs (None) and the bytes of its tensors."""

    name: ClassVar[str] = "cost"

    def run(self, given: AnalysisInput) -> Mapping[str, NodeCost]:
        """Costs at the sizes of `given.graph`."""
        return node_costs(given.graph)
