"""An analysis of your own: the bytes that each dtype writes, told from the graph's tensors.

    python examples/custom_analysis.py [MODEL [STAGE]]

In a package, the module that holds the class is named in the entry-point group `graphlab.passes`;
`graphlab passes` then lists it, and other analyses ask for it by name. docs/python.md shows both.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import graphlab
from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.pipeline import Facts
from graphlab.sources.stage import program_for


@dataclass(frozen=True)
class DtypeTrafficAnalysis(Analysis[Mapping[str, int]]):
    """{dtype: bytes written by the calls that make it}; views write nothing, as the built-in `cost` tells."""

    name: ClassVar[str] = "dtype-traffic"

    def run(self, given: AnalysisInput) -> Mapping[str, int]:
        """Sums at the sizes of `given.graph`, largest first."""
        costs = given.result("cost")
        written: dict[str, int] = {}
        for node in given.graph.calls:
            spec = next((out for out in node.outputs if out is not None), None)
            if spec is not None:
                written[spec.dtype] = written.get(spec.dtype, 0) + costs[node.name].bytes_written
        return dict(sorted(written.items(), key=lambda item: -item[1]))


def main(model: str = "stable-diffusion-v1-5-tiny", stage: str = "text_encoder") -> None:
    """Facts run each analysis once, when first asked; an installed one is asked for by `facts.result(name)`."""
    workload = graphlab.load(model)
    program = program_for(workload.stage(stage), workload.values(), dynamic=False)
    facts = Facts(program.graph, program.graph.symbols)
    given = AnalysisInput(program.graph, facts.graph, facts.graph, facts.result)
    for dtype, size in DtypeTrafficAnalysis().run(given).items():
        print(f"{dtype:>10} {size:>12} bytes written")


if __name__ == "__main__":
    main(*sys.argv[1:])
