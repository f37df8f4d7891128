"""-O2 against capture on the SDXL U-Net, time per pass, linearity in depth, and memory of the weights.

Bars: -O2 takes at most as long as the static capture of the same run; time grows linearly with nodes; no weight is
copied, so peak memory grows by the new tensors alone.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.timing import child_peak_bytes, header, interleaved

MODEL, ROUNDS = "stable-diffusion-xl", 3
MEMORY_LAYERS, MEMORY_WIDTH = 12, 1024


def capture_and_rewrite() -> None:
    """The SDXL U-Net captured statically and rewritten, in turn, with the time of every pass in the last round."""
    import graphlab
    from graphlab.rewriter import stage_program

    workload = graphlab.load(MODEL)
    program = stage_program(workload, "unet", dynamic=False)
    graphlab.rewrite(program)  # the first use of the passes imports them
    last: list[Any] = []
    samples = interleaved(
        ROUNDS,
        capture=lambda: stage_program(workload, "unet", dynamic=False),
        rewrite=lambda: last.append(graphlab.rewrite(program)),
    )
    result = last[-1]
    nodes = len(program.exported.graph.nodes) if program.exported is not None else 0
    print(f"## {MODEL}, U-Net of {nodes} nodes\n")
    print(f"- static capture: {samples['capture']}\n- -O2: {samples['rewrite']}")
    print(f"- ratio of the medians: {samples['rewrite'].median / samples['capture'].median:.3f} (at most 1)")
    spent = sum(seconds for _, seconds in result.seconds)
    print(f"- of the last -O2: {spent:.3f} s in passes, {last_seconds(samples['rewrite']) - spent:.3f} s around them")
    print(f"- {len(result.changes)} changes, {len(result.skips)} skips, {len(result.held)} new tensors\n")
    print("| pass | s | changes |\n|---|---|---|")
    for name, seconds in result.seconds:
        print(f"| {name} | {seconds:.3f} | {sum(change.pass_name == name for change in result.changes)} |")


def last_seconds(sample: Any) -> float:
    """Seconds of the last run of a Sample."""
    return float(sample.seconds[-1])


def stack(layers: int, width: int, device: str) -> Any:
    """`layers` transformer blocks of diffusers, as in SDXL, of self and cross attention and a GEGLU."""
    import torch
    from diffusers.models.attention import BasicTransformerBlock
    from torch import nn

    class Stack(nn.Module):
        """Hidden states (batch, tokens, width) and text (batch, words, width) to hidden states."""

        def __init__(self) -> None:
            super().__init__()
            blocks = (BasicTransformerBlock(width, width // 64, 64, cross_attention_dim=width) for _ in range(layers))
            self.blocks = nn.ModuleList(blocks)

        def forward(self, hidden: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
            """Every block in turn."""
            for block in self.blocks:
                hidden = block(hidden, encoder_hidden_states=text)
            return hidden

    with torch.device(device):
        return Stack().eval().requires_grad_(False)


def captured(layers: int, width: int, device: str) -> Any:
    """A static capture of `stack`."""
    import torch

    import graphlab

    inputs = (torch.zeros(2, 64, width, device=device), torch.zeros(2, 16, width, device=device))
    return graphlab.capture(stack(layers, width, device), inputs, dynamic=False)


def depth() -> None:
    """-O2 on 1x, 2x, 4x and 8x as many blocks; microseconds are of -O2."""
    import graphlab

    print("\n## Depth: stacks of transformer blocks\n")
    print(
        "| blocks | nodes | capture, s | -O2, s | in passes, s | us a node | changes |\n|---|---|---|---|---|---|---|"
    )
    for layers in (10, 20, 40, 80):
        start = time.perf_counter()
        program = captured(layers, 64, "meta")
        capture = time.perf_counter() - start
        runs = []
        for _ in range(3):
            start = time.perf_counter()
            result = graphlab.rewrite(program)
            runs.append((time.perf_counter() - start, result))
        seconds, result = min(runs, key=lambda run: run[0])
        nodes, spent = len(program.exported.graph.nodes), sum(s for _, s in result.seconds)
        per = seconds / nodes * 1e6
        print(
            f"| {layers} | {nodes} | {capture:.2f} | {seconds:.3f} | {spent:.3f} | {per:.0f} | {len(result.changes)} |"
        )


_CAPTURE = f"from benchmarks.rewrite_time import captured; p = captured({MEMORY_LAYERS}, {MEMORY_WIDTH}, 'cpu')"
_REWRITE = "import graphlab; r = graphlab.rewrite(p, level={level})"


def memory() -> None:
    """Peak resident memory of a process that captures a model with weights, and of one that rewrites it too."""
    import graphlab

    program = captured(MEMORY_LAYERS, MEMORY_WIDTH, "meta")
    weights = sum(node.out.nbytes for node in program.graph.weights)
    made = sum(item.nbytes for item in graphlab.rewrite(program).held)
    base = child_peak_bytes(f"{_CAPTURE}; import graphlab; graphlab.rewrite(p, level=0)")
    print(f"\n## Memory: {MEMORY_LAYERS} blocks of width {MEMORY_WIDTH}, {weights / 2**20:.0f} MiB of weights\n")
    print(f"- captured, -O0: peak {base / 2**20:.0f} MiB")
    for level in (1, 2):
        peak = child_peak_bytes(f"{_CAPTURE}; {_REWRITE.format(level=level)}")
        new = made if level == 2 else 0
        print(
            f"- -O{level}: peak {peak / 2**20:.0f} MiB, {(peak - base) / 2**20:+.0f} MiB; "
            f"new tensors {new / 2**20:.0f} MiB (freed originals are the caller's program's, which is still there)"
        )


def main() -> None:
    """Prints the three parts."""
    header("Time and memory of rewrites")
    capture_and_rewrite()
    depth()
    memory()


if __name__ == "__main__":
    main()
