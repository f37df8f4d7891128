"""written-bytes: the bytes each call writes that writes many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class WrittenBytes(Analysis[Mapping[str, int]]):
    """{call: bytes it writes}, for the calls that write at least `least`; views write nothing."""

    name: ClassVar[str] = "written-bytes"

    least: int = option(0, "bytes a call has to write", minimum=0)

    def run(self, given: AnalysisInput) -> Mapping[str, int]:
        """In execution order, as the built-in `cost` counts them."""
        costs = given.result("cost")
        written = {node.name: int(costs[node.name].bytes_written) for node in given.graph.calls}
        return {name: nbytes for name, nbytes in written.items() if nbytes >= self.least}
