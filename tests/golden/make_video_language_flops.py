"""Writes video_language_flops.json: parameters and FLOPs of every stage, counted by torch on the meta device.

    python tests/golden/make_video_language_flops.py [CASE ...]

The oracle is torch.utils.flop_counter.FlopCounterMode under SDPBackend.MATH at batch 1: nothing of graphlab's own
counting takes part. A case is a model, and bindings where they are not its defaults: "ltx-video width=768".
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from graphlab.models import find_model, models
from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage, Workload

PATH = Path(__file__).with_name("video_language_flops.json")
KINDS = ("text-to-video", "image-to-video", "language")

# Sizes other people published numbers for.
EXTRA = ("ltx-video width=768", "llama-2-7b tokens=128", "llama-2-7b logits=1")


def cases() -> list[str]:
    """Every full video and language model at its defaults, and the published sizes."""
    names = [name for name, model in models().items() if model.kind in KINDS and not name.endswith("-tiny")]
    return sorted([*names, *EXTRA])


def workload_of(case: str) -> Workload:
    """The Workload `case` names, bound."""
    name, *bindings = case.split()
    return find_model(name).workload().bind({k: int(v) for k, v in (b.split("=") for b in bindings)})


def count(stage: Stage, values: dict[str, int | float]) -> dict[str, int]:
    """{"parameters": ..., "flops": ...} of one call of `stage` under `values`; a multiply-add is 2 FLOP."""
    assert stage.build is not None
    module = stage.build()
    arguments = example_arguments(stage, values, "meta")
    if arguments.get("attention_mask") is not None and "input_ids" in arguments:
        # Outside an export transformers reads the contents of a (batch, tokens) mask, which meta tensors do not
        # have. One that is spelled out is taken as it is; neither takes part in a contraction.
        batch, tokens = arguments["input_ids"].shape
        arguments["attention_mask"] = torch.ones(batch, 1, tokens, tokens, dtype=torch.bool, device="meta")
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        module(**arguments)
    return {"parameters": sum(p.numel() for p in module.parameters()), "flops": counter.get_total_flops()}


def main(wanted: list[str]) -> None:
    """Counts the cases in `wanted` (all without any) and rewrites their entries."""
    found = json.loads(PATH.read_text()) if wanted and PATH.exists() else {}
    for case in wanted or cases():
        workload = workload_of(case)
        found[case] = {stage.name: count(stage, workload.step_values(stage, 0)) for stage in workload.stages}
        for stage, row in found[case].items():
            print(f"{case:36} {stage:16} {row['parameters']:>14,} {row['flops'] / 2e9:>15.3f} GMAC", flush=True)
    PATH.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
