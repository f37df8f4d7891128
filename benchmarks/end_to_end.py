"""SD 1.5's U-Net: `graphlab analyze` statically against bare `torch.export.export` plus imports. Bar: 2 s over."""

from __future__ import annotations

import statistics

from benchmarks.timing import GRAPHLAB, header, interleaved, process, python

BARE = """
import torch
from diffusers import UNet2DConditionModel
with torch.device("meta"):
    unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
unet = unet.to("meta").to(torch.float16).eval()
def size(*shape, dtype=torch.float16):
    return torch.empty(shape, dtype=dtype, device="meta")
inputs = (size(1, 4, 64, 64), size(dtype=torch.int64), size(1, 77, 768))
with torch.no_grad():
    torch.export.export(unet, inputs, {"return_dict": False}, strict=False)
"""


def main() -> None:
    """Print medians of interleaved rounds and the pairwise difference."""
    header("SD 1.5 U-Net, end to end")
    command = (GRAPHLAB, "analyze", "stable-diffusion-v1-5", "--stage", "unet")
    samples = interleaved(
        5,
        bare=python(BARE),
        static=process(*command, "--static", "--no-cache", "--json", "-"),
    )
    over = [a - b for a, b in zip(samples["static"].seconds, samples["bare"].seconds, strict=True)]
    print(f"torch.export.export and imports   {samples['bare']}")
    print(f"graphlab analyze --static         {samples['static']}")
    print(
        f"over                              {statistics.median(over):.2f} s (min {min(over):.2f}, max {max(over):.2f})"
    )
    symbolic = interleaved(1, symbolic=process(*command, "--no-cache", "--json", "-"))["symbolic"]
    print(f"graphlab analyze, symbolic        {symbolic}")


if __name__ == "__main__":
    main()
