"""A U-Net of Stable Diffusion 1.5's size, random weights: one saliency map and one training step, memory and seconds.

    python -m benchmarks.erasure.full_size [--memory-gib 20] [--width 1] [--device cuda]

float32, latents 4 x 64 x 64, batch 1, 77 tokens of width 768, gradient checkpointing, a backward for each of the four
terms. Every part runs in a child process; peak memory is its VmHWM, the most it ever had resident, the process of the
part with torch and diffusers imported being the first row. On a GPU it is the most that torch had allocated there.
With --memory-gib a child that asks for more ends with an error. --width divides all channels (8 for a try).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from graphlab.erase.noise import schedule_of
from graphlab.erase.objective import PRESETS, Objective
from graphlab.erase.saliency.building import saliency
from graphlab.erase.saliency.config import SaliencyConfig
from graphlab.erase.saliency.density import density
from graphlab.erase.training.config import PathConfig, TrainingConfig
from graphlab.erase.training.loop import train
from graphlab.erase.training.model import Model
from graphlab.erase.training.prompts import Prompts
from graphlab.models.stable_diffusion import UNET_V1

TOKENS = 77
STEPS = 2
"""Steps of the path: both points lie on it, and what is measured is the step and not the sampling."""
BOUNDARY = -3.0
"""log SNR between the two steps: the first point is early, the second late."""
WIDTHS = (320, 640, 1280, 1280)


@dataclass(frozen=True)
class Size:
    """What a part is measured at: all channels divided by `width`, latents of `side` x `side`, on `device`."""

    width: int
    side: int
    device: str


def model_of(size: Size) -> Model:
    """The U-Net, and the schedule it was published with."""
    from diffusers import DDIMScheduler, UNet2DConditionModel

    config: dict[str, Any] = {**UNET_V1, "sample_size": size.side}
    config["block_out_channels"] = [channels // size.width for channels in WIDTHS]
    config["norm_num_groups"] = max(1, 32 // size.width)
    config["cross_attention_dim"] //= size.width
    torch.manual_seed(0)
    unet: nn.Module = UNet2DConditionModel.from_config(config)
    scheduler = DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False)
    schedule, kind = schedule_of(scheduler)
    return Model(unet.eval().to(size.device), schedule, kind)


def prompts_of(size: Size) -> Prompts:
    """A prompt and the empty one, drawn: there is no encoder of that size here."""
    drawn = torch.randn(
        2, 1, TOKENS, UNET_V1["cross_attention_dim"] // size.width, generator=torch.Generator().manual_seed(1)
    )
    return Prompts({"concept": drawn[0]}, drawn[1])


def built(size: Size) -> str:
    """The weights alone."""
    model = model_of(size)
    return f"{sum(value.numel() for value in model.module.parameters()) / 1e6:.0f} M parameters"


def mapped(size: Size) -> str:
    """One map: the gradient of the erase term at one point, ranked over all weights."""
    objective = Objective(PRESETS["paper-b"]["nsfw"])
    config = SaliencyConfig(
        objective, (4, size.side, size.side), (0,), BOUNDARY, steps=STEPS, guidance=3.0, draws=1,
        ranking="global", gradient_checkpointing=True,
    )  # fmt: skip
    made = saliency(model_of(size), prompts_of(size), config)
    return f"{density(made.rows):.1%} of the entries kept"


def stepped(size: Size, optimizer: str) -> str:
    """One step of training on all four terms."""
    student = model_of(size)
    config = TrainingConfig(
        objective=Objective(PRESETS["paper-b"]["nsfw"]),
        path=PathConfig((4, size.side, size.side), BOUNDARY, steps=STEPS, guidance=3.0),
        iterations=1,
        rate=1e-5,
        optimizer="adamw" if optimizer == "adamw" else "sgd",
        momentum=0.0,
        gradient_checkpointing=True,
    )
    done = train(student, student.copied(), prompts_of(size), config)
    return ", ".join(f"{name} {value:.2e}" for name, value in done.history[0].items())


PARTS: Mapping[str, Callable[[Size], str]] = {
    "start": lambda size: "torch and diffusers imported",
    "model": built,
    "saliency map": mapped,
    "training step, sgd": lambda size: stepped(size, "sgd"),
    "training step, adamw": lambda size: stepped(size, "adamw"),
}


def peak_bytes(device: str) -> int:
    """The most memory this process ever had, in bytes: VmHWM of Linux, or what torch had allocated on the GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not say VmHWM")


def child(name: str, given: argparse.Namespace) -> None:
    """Runs a part in this process, and prints what it took as JSON."""
    if given.memory_gib is not None:
        limit = int(given.memory_gib * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    torch.set_num_threads(given.threads)
    started = time.perf_counter()
    said = PARTS[name](Size(given.width, given.side, given.device))
    print(json.dumps({"seconds": time.perf_counter() - started, "peak": peak_bytes(given.device), "said": said}))


def measured(name: str, arguments: Sequence[str]) -> Mapping[str, Any]:
    """What a child says of a part; `error` where it did not come to its end."""
    command = [sys.executable, "-m", "benchmarks.erasure.full_size", *arguments, "--part", name]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    if made.returncode:
        lines = made.stderr.strip().splitlines() or [f"it ended with {made.returncode}"]
        return {"error": lines[-1][:160]}
    found: Mapping[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a row for each part; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory-gib", type=float, help="largest address space of a child")
    parser.add_argument("--width", type=int, default=1, help="all channels are divided by it: 1, 2, 4 or 8")
    parser.add_argument("--side", type=int, default=64, help="of the latents")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts alone")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words)
    if given.part is not None:
        child(given.part, given)
        return 0
    print("| part | peak memory, GiB | seconds | |\n|---|---:|---:|---|", flush=True)
    failed = 0
    for name in given.only or PARTS:
        found = measured(name, words)
        if "error" in found:
            failed = 1
            print(f"| {name} | - | - | {found['error']} |", flush=True)
        else:
            print(f"| {name} | {found['peak'] / 2**30:.2f} | {found['seconds']:.1f} | {found['said']} |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
