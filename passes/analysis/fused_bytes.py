"""fused-bytes: what each attention moves with its scores written to memory, and what a fused kernel moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.costing import site_traffic
from graphlab.facts import AttentionTraffic
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class FusedBytesAnalysis(Analysis[Mapping[str, AttentionTraffic]]):
    """{anchor node of an attention: AttentionTraffic}; `graphlab.costing.site_traffic` states the convention."""

    name: ClassVar[str] = "fused-bytes"

    def run(self, given: AnalysisInput) -> Mapping[str, AttentionTraffic]:
        """Traffic of every attention at the sizes of `given.graph`."""
        costs = given.result("cost")
        return {site.node: site_traffic(given.graph, site, costs) for site in given.result("attention")}
