"""Writes image_flops.json: parameters and FLOPs of every stage of every text-to-image model, by torch's counter.

    PYTHONPATH=. python tests/golden/make_image_flops.py [MODEL ...]

One forward call a stage at batch 1 and default bindings on the meta device, where scaled_dot_product_attention
decomposes under SDPBackend.MATH into the two matrix products the counter knows. No graphlab rule takes part.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from graphlab.models import find_model, models
from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage, Workload
from tests.oracle import oracle_flops

KINDS = ("text-to-image", "class-to-image", "text encoder", "decoder")
TARGET = Path(__file__).with_name("image_flops.json")


def image_model_names() -> list[str]:
    """Built-in models of this suite, without the tiny ones."""
    return [name for name, m in models().items() if m.kind in KINDS and not name.endswith("-tiny")]


def count(workload: Workload, stage: Stage) -> dict[str, int | str]:
    """{parameters, flops of one call, dtype} of `stage` at the workload's bindings."""
    assert stage.build is not None
    module = stage.build()
    arguments = example_arguments(stage, workload.step_values(stage, 0), "meta")
    if "input_ids" in arguments:
        # Outside an export transformers reads the mask's contents, which meta tensors do not have. An additive
        # mask takes no part in a contraction.
        arguments.pop("attention_mask", None)
    parameters = sum(p.numel() for p in module.parameters())
    return {"parameters": parameters, "flops": oracle_flops(module, (), arguments), "dtype": stage.dtype}


def main(names: list[str]) -> None:
    found = json.loads(TARGET.read_text()) if names and TARGET.exists() else {}
    for name in names or image_model_names():
        workload = find_model(name).workload()
        found[name] = {stage.name: count(workload, stage) for stage in workload.stages}
        for stage, row in found[name].items():
            print(f"{name:28} {stage:16} {row['parameters']:>14,} {row['flops'] / 2e9:>12.3f} GMAC", flush=True)
    TARGET.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
