"""Writes video_language_flops.json: parameters and FLOPs of every stage, counted by torch on the meta device.

The oracle is torch.utils.flop_counter.FlopCounterMode under SDPBackend.MATH at batch 1 and default bindings;
nothing of graphlab's own counting takes part. Run it after a change of diffusers, transformers or a model:

    python tests/golden/make_video_language_flops.py [model ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from graphlab.capture.arguments import example_arguments
from graphlab.models import find_model, models
from graphlab.workload import Stage

PATH = Path(__file__).with_name("video_language_flops.json")
KINDS = ("text-to-video", "image-to-video", "language")


def count(stage: Stage, values: dict[str, int | float]) -> dict[str, int]:
    """{"parameters": ..., "flops": ...} of one call of `stage` under `values`; a multiply-add is 2 FLOP."""
    assert stage.build is not None
    module = stage.build()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        module(**example_arguments(stage, values, "meta"))
    return {"parameters": sum(p.numel() for p in module.parameters()), "flops": counter.get_total_flops()}


def main(names: list[str]) -> None:
    """Counts the models in `names` (all video and language models without any) and rewrites their entries."""
    found = json.loads(PATH.read_text()) if PATH.exists() else {}
    for name in names or [name for name, model in models().items() if model.kind in KINDS]:
        workload = find_model(name).workload()
        found[name] = {stage.name: count(stage, workload.step_values(stage, 0)) for stage in workload.stages}
        print(name, found[name], flush=True)
    PATH.write_text(json.dumps(dict(sorted(found.items())), indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
