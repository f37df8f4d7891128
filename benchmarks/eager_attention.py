"""fuse-attention on whole models captured with attention spelled out: how many fuse, how fast, and whether it holds.

The U-Nets and the decoder of Stable Diffusion with diffusers' plain processor, which spells attention with baddbmm,
softmax and bmm over heads folded into the batch, at full size on the meta device; the FLOPs before and after.

    python -m benchmarks.eager_attention [MODEL:STAGE ...] [--no-verify]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

import graphlab
from benchmarks.timing import header
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.sources.stage import program_for
from graphlab.verification.verify import verify
from graphlab.workload import Stage

STAGES = ("stable-diffusion-v1-5:unet", "stable-diffusion-v1-5:vae_decoder", "stable-diffusion-xl:unet")
FUSED = torch.ops.aten.scaled_dot_product_attention.default


def plain(stage: Stage) -> Stage:
    """`stage` with every attention of its module spelled out."""
    from diffusers.models.attention_processor import Attention, AttnProcessor

    build = stage.build
    assert build is not None

    def spelled() -> torch.nn.Module:
        module = build()
        for part in module.modules():
            if isinstance(part, Attention):
                part.set_processor(AttnProcessor())
        return module

    return replace(stage, build=spelled, identity="")


def fused(program: Program) -> int:
    """Calls of the fused attention in `program`."""
    assert program.exported is not None
    return sum(node.target is FUSED for node in program.exported.graph.nodes)


def flops(program: Program) -> int:
    """FLOP of one call, contractions alone, at the captured sizes."""
    costs = Facts(program.graph, dict(program.graph.symbols)).result("cost")
    return sum(int(cost.flops) for cost in costs.values() if cost.flops is not None)


def row(name: str, *, check: bool) -> str:
    """One line of the table."""
    model, stage_name = name.split(":")
    workload = graphlab.load(model)
    stage = plain(workload.stage(stage_name))
    start = time.perf_counter()
    program = program_for(stage, workload.step_values(stage, 0), dynamic=False, disk=False)
    captured = time.perf_counter()
    result = graphlab.run_pass("fuse-attention", program)
    rewritten = time.perf_counter()
    softmaxes = sum("softmax" in call.target for call in program.graph.calls)
    same = "equal" if flops(program) == flops(result.program) else "differ"
    held = ""
    if check:
        verdict = verify(program, result.program, result.changes)
        held = f"{'holds' if verdict.ok else 'BROKEN'} ({verdict.mode}, {verdict.worst_float64:.1e})"
    seconds = f"{captured - start:.1f} | {rewritten - captured:.1f}"
    return f"| {name} | {softmaxes} | {fused(result.program)} | {len(result.skips)} | {same} | {seconds} | {held} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", default=STAGES)
    parser.add_argument("--no-verify", action="store_true", help="leave the comparison of numbers out")
    options = parser.parse_args()
    header("Attention spelled out in whole models")
    print("| stage | softmaxes | fused | refused | FLOP | capture, s | pass, s | float64 |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.stages:
        print(row(name, check=not options.no_verify), flush=True)


if __name__ == "__main__":
    main()
