"""What reusing deep features saves and costs, on trained models: the table of docs/feature_reuse.md. Approximate.

    python -m benchmarks.feature_reuse [--base NAME]... [--images 60] [--every 1 2 3 5 12] [--rounds 3]

Every prompt and seed is drawn by the model itself and by the two programs that examples/feature_reuse.py makes of its
U-Net, 25 steps at guidance 2. FLOP of a whole generation are read off the graphs. "as asked" is the share of images in
which a judge sees every attribute of the prompt; correlation is Pearson's, image by image, with the model's own image
of that seed. Where features are computed in every step the images must be the model's own to the bit, or this fails.
Times are processor seconds of 8 images on one thread, run operator by operator, exact and approximate in turn; the
ratio is the median of the rounds', with its range.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

import graphlab
from examples.feature_reuse import ReuseDeepFeatures
from graphlab.erase.denoiser import Denoiser
from graphlab.erase.images import Sampling, draw
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.shipped import judges_of, shipped
from graphlab.hoisting.runner import Tensors, eager_call
from graphlab.program import Program
from graphlab.reuse import ReusedStage, ReuseResult, eager, workload_with
from graphlab.rewriter import stage_program
from graphlab.workload import Workload

STEPS, GUIDANCE = 25, 2.0
CUTS = {
    "half resolution": {"depth": 1},
    "and the block after it": {"module": "up_blocks.1.resnets.0"},
}
"""{what is reused: options of the pass}."""


class Reusing:
    """The U-Net of a base as its programs in turn; called once a step, guidance in one call."""

    def __init__(self, stage: ReusedStage, steps: int) -> None:
        self.stage, self.steps = stage, steps
        self.index = 0
        self.features: Tensors | None = None

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        (made,), self.features = self.stage.step(self.index, _inputs(x, time, text), self.features)
        self.index = (self.index + 1) % self.steps  # a batch is drawn from its first step to its last
        return made


class Whole:
    """The U-Net of a base as its captured program, run as the two programs are: what times are compared with."""

    def __init__(self, program: Program) -> None:
        self.call = eager_call(program)

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.call(_inputs(x, time, text))[0]
        return made


def _inputs(x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> Tensors:
    told = time[0] if time[0] != time[0].round() else time[0].long()
    return {"sample": x, "timestep": told, "encoder_hidden_states": text}


@dataclass(frozen=True)
class Subject:
    """A base with what is asked of it: prompts and labels (images, attributes), and its own images of the seeds."""

    name: str
    base: Base
    workload: Workload
    program: Program
    labels: torch.Tensor
    text: torch.Tensor
    judges: Sequence[Judge]

    @classmethod
    def of(cls, name: str, images: int) -> Subject:
        """`images` prompts, every combination of attributes as often as any other, every phrase in turn."""
        base, workload = shipped(name), graphlab.load(name)
        rows = base.world.combinations("train")
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
        labels = rows.repeat(-(-images // len(rows)), 1)[:images]
        text = base.encode([_prompt(base, row, index) for index, row in enumerate(labels.tolist())])
        program = stage_program(workload, "unet")
        return cls(name, base, workload, program, labels, text, judges_of(base.world.name))

    def images(self, denoiser: Denoiser, count: int | None = None) -> torch.Tensor:
        """Images (images, channels, height, width) of the first `count` prompts, seeds 0, 1, ..."""
        text = self.text[:count]
        sampling = Sampling(self.base.world.shape, STEPS, GUIDANCE)
        with torch.no_grad():
            return draw(denoiser, text, self.base.empty, range(len(text)), sampling)

    def as_asked(self, images: torch.Tensor) -> list[float]:
        """The share of `images` that show all that was asked for, by each judge."""
        return [float((judge.labels(images) == self.labels).all(1).double().mean()) for judge in self.judges]

    def denoiser(self, network: Reusing | Whole) -> Denoiser:
        """`network` at the noise levels of the base."""
        return Denoiser(network, self.base.schedule, self.base.config.kind)


def _prompt(base: Base, row: Sequence[int], index: int) -> str:
    forms = base.language.forms
    names = [attribute.name for attribute in base.world.attributes]
    return base.language.prompt({name: (row[at], index % forms[name]) for at, name in enumerate(names)})


def correlation(images: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of each image with the exact one, (images,)."""
    a, b = (each.flatten(1).double() for each in (images, exact))
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))


def flops(workload: Workload) -> int:
    """FLOP of a whole generation, read off the graphs."""
    found = graphlab.analyze(workload, dynamic=False)
    return int(found.totals["flops"])


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call of `work`: other programs on the machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def time_ratio(subject: Subject, result: ReuseResult, rounds: int) -> str:
    """Median of approximate / exact over `rounds` rounds of one batch of 8, and the range."""
    pair = (Reusing(eager(result), STEPS), Whole(subject.program))
    found = []
    for _ in range(rounds):
        new, old = (seconds(lambda each=each: subject.images(subject.denoiser(each), 8)) for each in pair)
        found.append(new / old)
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def rows(subject: Subject, every: Sequence[int], rounds: int) -> list[str]:
    """A line of the table for the base itself and for every cut and period."""
    exact = subject.images(subject.base.denoiser())
    whole = flops(subject.workload)
    lines = [_line(subject, "nothing: exact", "", 1.0, subject.as_asked(exact), torch.ones(len(exact)), "1")]
    for what, options in CUTS.items():
        for period in every:
            made = ReuseDeepFeatures(every=period, **options)  # type: ignore[arg-type]  # a text or a number, by name
            result = made.run_stage(subject.workload, "unet", subject.program)
            images = subject.images(subject.denoiser(Reusing(eager(result), STEPS)))
            if period == 1 and not torch.equal(images, exact):
                raise SystemExit(f"{subject.name}, {what}: features of every step give other images")
            share = flops(workload_with(subject.workload, "unet", result)) / whole
            ratio = time_ratio(subject, result, rounds) if rounds and period > 1 else "-"
            asked = subject.as_asked(images)
            lines.append(_line(subject, what, str(period), share, asked, correlation(images, exact), ratio))
            print(lines[-1], flush=True)
    return lines


def _line(
    subject: Subject, what: str, every: str, share: float, asked: Sequence[float], near: torch.Tensor, ratio: str
) -> str:
    shares = " | ".join(f"{value:.1%}" for value in asked)
    return (
        f"| {subject.name} | {what} | {every} | {share:.1%} | {shares} | {float(near.mean()):.4f} | "
        f"{float(near.min()):.4f} | {ratio} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", action="append", help="a base that comes with graphlab; repeated")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--every", type=int, nargs="+", default=[1, 2, 3, 5, 12])
    parser.add_argument("--rounds", type=int, default=3, help="of timing; 0 for none")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines = []
    for name in chosen.base or ("digits-epsilon-0", "layout-0"):
        lines += rows(Subject.of(name, chosen.images), chosen.every, chosen.rounds)
    print("\n| base | reused | every | FLOP | as asked, CNN | as asked, other | correlation | lowest | time |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|", *lines, sep="\n")


if __name__ == "__main__":
    main()
