"""APPROXIMATE: deep features of a U-Net are computed every few steps of a denoising loop, and reused in between.

    python examples/feature_reuse.py [MODEL [EVERY]]
    graphlab rewrite digits --stage unet --pass examples/feature_reuse.py:ReuseDeepFeatures,every=3 --verify

Neighbouring steps look at nearly the same image, and what a U-Net knows of it at a low resolution changes least. The
pass says which values are deep; graphlab cuts the graph there. docs/feature_reuse.md says what it costs in quality.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar

import graphlab
from graphlab.errors import UnknownNameError
from graphlab.graph import Node
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.reuse import ReuseResult, reuse_features, reuse_features_of_stage, workload_with
from graphlab.rewriter import stage_program
from graphlab.rewriting.options import option, spelled
from graphlab.workload import Workload


@dataclass(frozen=True)
class ReuseDeepFeatures(StageRewrite):
    """Features of a low resolution, or of one module, computed every few steps and reused in between; approximate.

    Before: `step(sample, timestep, text)`. After, in every `every`-th step, `refresh(sample, timestep, text)`, which
    also returns the features, and in the others `reuse(sample, timestep, text, features)`.
    """

    name: ClassVar[str] = "reuse-deep-features"
    exact: ClassVar[bool] = False

    every: int = option(2, "how many steps features last: 1 computes them in every step", minimum=1)
    depth: int = option(1, "deep is what has at most 1 / 4^depth of the positions of the image", minimum=1)
    module: str = option("", "deep is what the module of this path computes, whatever its resolution")

    def run(self, program: Program) -> ReuseResult:
        """`program` with every input taken for one that steps."""
        return reuse_features(program, self.features(program), self.every, spelled(self))

    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> ReuseResult:
        """`stage` of `workload`; the roles of its inputs say what steps."""
        whole = program or stage_program(workload, stage, dynamic=dynamic)
        return reuse_features_of_stage(workload, stage, whole, self.features(whole), self.every, spelled(self))

    def features(self, program: Program) -> set[str]:
        """Names of the values that are deep."""
        graph = program.graph
        if self.module:
            inside = {node.name for node in graph.calls if any(path == self.module for path, _ in node.modules)}
            if not inside:
                raise UnknownNameError(f"{program.name} has no module {self.module!r}", hint="as in module=mid_block")
            return inside
        axes = Facts(graph, graph.symbols).result("axes")
        sides = {axis for axis, meaning in axes.meaning.items() if meaning in ("height", "width")}

        def positions(node: Node) -> int:  # 0 for a value without height or width, such as the mean of an image
            factors = [factor for axis in axes.axes[node.name][0] for factor in axis if factor.origins & sides]
            known = {origin for factor in factors for origin in factor.origins}
            return math.prod(factor.size for factor in factors) if sides <= known else 0

        most = max((positions(node) for node in graph.inputs), default=0) // 4**self.depth
        return {node.name for node in graph.calls if 0 < positions(node) <= most}


def main(model: str = "digits", every: str = "3") -> None:
    """What a generation costs, before and after, read off the graphs."""
    workload = graphlab.load(model)
    result = ReuseDeepFeatures(every=int(every)).run_stage(workload, "unet", dynamic=False)
    for kept in result.kept:
        print(f"approximate: {kept.module} is computed every {every} steps, {kept.nbytes} bytes are kept in between")
    for item in (workload, workload_with(workload, "unet", result)):
        report = graphlab.analyze(item, dynamic=False)
        for stage in report.stages:
            print(f"{stage.name:12} {stage.steps:3} steps, {stage.flops_per_step:9} FLOP a call")
        print(f"{'generation':12} {report.totals['flops']} FLOP")


if __name__ == "__main__":
    main(*sys.argv[1:])
