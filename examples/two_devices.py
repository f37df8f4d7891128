"""One model on two devices: what bounds it, and what fused attention is worth there (estimates)."""

from __future__ import annotations

import graphlab

MODEL = "stable-diffusion-v1-5-tiny"

for device in ("a100-80gb", "rtx-4090"):
    report = graphlab.characterize([MODEL], device, sweeps=False, figure_names=["breakdown"])
    (row,) = report.models
    print(f"{device}: {row.seconds_baseline:.3g} s, {row.seconds_fused:.3g} s with fused attention")
    for item in report.figure("breakdown").rows:
        if item["attention"] == "fused":
            print(f"  {item['category']:14} {item['share']:6.1%}")
