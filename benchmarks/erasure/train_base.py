"""Train a base of a small world, resumably, or hold one against the gate.

    python -m benchmarks.erasure.train_base --world digits --kind epsilon --seed 0 --folder runs/digits-0
    python -m benchmarks.erasure.train_base --gate --folder runs/digits-0

A folder holds `training.safetensors` (the state, written every minute), `log.csv` and, at the end, `base.safetensors`.
The same command goes on where it stopped; for a fixed number of threads the result is the same to the bit.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.erasure.training_batch import batch_of
from benchmarks.erasure.training_state import State, Training, fresh, load_state_file, save_state
from benchmarks.erasure.training_step import stepper
from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.base import KINDS, Base
from graphlab.erase.worlds.base_file import load_base, save_base
from graphlab.erase.worlds.cnn_judge import load_judge, save_judge, train_judge
from graphlab.erase.worlds.gate import gate
from graphlab.erase.worlds.judges import Judge
from graphlab.erase.worlds.known import WORLDS, world_of
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.template_judge import template_judge
from graphlab.erase.worlds.world import World

BATCH = {"digits": 128, "layout": 256}
RATE = {"digits": 1e-3, "layout": 2e-3}
STEPS = {"digits": 4000, "layout": 16_000}
EVERY_SECONDS = 60.0
EVERY_STEPS = 50
COLUMNS = ("step", "loss", "rate", "seconds")
"""`loss`: the mean over the last EVERY_STEPS batches; `seconds` since this process began."""


def train(
    how: Training,
    folder: Path,
    *,
    stop_after: int | None = None,
    every_seconds: float = EVERY_SECONDS,
    tell: Callable[[str], None] = lambda line: None,
) -> Base | None:
    """The base, also written to the folder; None if `stop_after` steps of this call came first.

    EraseError for a loss that is not finite (the last state is kept) and for a folder of another training.
    """
    torch.set_num_threads(how.threads)
    path, log = folder / "training.safetensors", folder / "log.csv"
    state = load_state_file(path, how) if path.exists() else fresh(how)
    _cut_log(log, state.step)
    began = saved = time.monotonic()
    first, step = state.step, stepper(state)
    while state.step < how.steps:
        if stop_after is not None and state.step - first >= stop_after:
            _check(state)
            save_state(state, path)
            return None
        step(batch_of(state.base, how, state.step))
        if state.step % EVERY_STEPS == 0 or state.step == how.steps:
            _log(state, log, time.monotonic() - began, first, tell)
            if time.monotonic() - saved >= every_seconds:
                save_state(state, path)
                saved = time.monotonic()
    save_state(state, path)
    return _finish(state, folder)


def _log(state: State, path: Path, seconds: float, first: int, tell: Callable[[str], None]) -> None:
    how = state.how
    mean = _check(state) / ((state.step - 1) % EVERY_STEPS + 1)
    _append(path, (state.step, f"{mean:.6f}", f"{how.rate_at(state.step - 1):.6g}", f"{seconds:.1f}"))
    left = seconds / (state.step - first) * (how.steps - state.step)
    tell(f"step {state.step}/{how.steps}  loss {mean:.4f}  {seconds:.0f} s, {left:.0f} s left")
    state.loss.zero_()


def _check(state: State) -> float:
    """The sum of the losses since the last line; EraseError where it is not finite, before anything is written."""
    value = float(state.loss)
    if not math.isfinite(value):
        raise EraseError(
            f"the loss before step {state.step} is {value}", hint="the last state is kept; take a lower rate"
        )
    return value


def _finish(state: State, folder: Path) -> Base:
    log = {name: str(value) for name, value in dataclasses.asdict(state.how).items()}
    log.update(torch=str(torch.__version__), final_loss=_rows(folder / "log.csv")[-1][1])
    average = state.average
    for module in (average.unet, average.encoder):
        module.cpu()
    path = folder / "base.safetensors"
    save_base(Base(average.config, average.unet, average.encoder, log), path)
    return load_base(path)


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def _cut_log(path: Path, step: int) -> None:
    """Drop what was logged after the state that is gone on from."""
    rows = [row for row in _rows(path) if int(row[0]) <= step]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def _append(path: Path, row: Sequence[object]) -> None:
    with path.open("a", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(row)


def hold_against_gate(folder: Path, images: int, tell: Callable[[str], None]) -> bool:
    """Print and write `gate.csv`, the shares drawn right by form and judge; whether the base passes.

    The CNN judge is `judge_<world>.safetensors` beside the folder's base, trained and written where it is missing.
    """
    base = load_base(folder / "base.safetensors")
    found = gate(base, judges_of(base.world, folder, tell), images, tell=tell)
    with (folder / "gate.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("prompts", "part", "form", "attribute", "judge", "right", "images"))
        for cell in found.cells:
            row = (cell.prompts, cell.part, cell.form, cell.attribute, cell.judge, cell.right.hits, cell.right.count)
            writer.writerow(row)
            tell("  ".join(map(str, (*row, f"{cell.right.value:.1%}"))))
    for name, share in found.attributes().items():
        tell(f"{name}, all forms: {share.value:.1%} of {share.count}")
    for failure in found.failures():
        tell(f"below the gate: {failure}")
    return not found.failures()


def judges_of(world: World, folder: Path, tell: Callable[[str], None]) -> tuple[Judge, ...]:
    """Both judges of a world: the CNN and the one that shares nothing with it."""
    path = folder / f"judge_{world.name}.safetensors"
    if not path.exists():
        tell(f"training {path.name}")
        save_judge(train_judge(world), path)
    return load_judge(path), (template_judge() if world.name == "layout" else pixel_judge())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0, or 1 for an error and for a base below the gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", choices=WORLDS, default="digits")
    parser.add_argument("--kind", choices=KINDS, default="epsilon")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help=f"{STEPS} if not given")
    parser.add_argument("--without", help="a concept that is never shown, by its name")
    parser.add_argument("--batch", type=int, help=f"images a step, {BATCH} if not given")
    parser.add_argument("--rate", type=float, help=f"of Adam, {RATE} if not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gate", action="store_true", help="hold the folder's base against the gate")
    parser.add_argument("--images", type=int, default=240, help="images of each form, kind of prompt and part")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except EraseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(chosen: argparse.Namespace) -> int:
    torch.set_num_threads(chosen.threads)
    if chosen.gate:
        return 0 if hold_against_gate(chosen.folder, chosen.images, _say) else 1
    without = None if chosen.without is None else world_of(chosen.world).attributes[-1].label(chosen.without)
    how = Training(
        chosen.world,
        chosen.kind,
        chosen.seed,
        chosen.steps or STEPS[chosen.world],
        chosen.batch or BATCH[chosen.world],
        chosen.rate or RATE[chosen.world],
        threads=chosen.threads,
        device=chosen.device,
        without=without,
    )
    train(how, chosen.folder, tell=_say)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
