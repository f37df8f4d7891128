"""Hold shipped bases against the gate, or print what was found.

    python -m benchmarks.erasure.hold_gate digits-epsilon-0 layout-0
    python -m benchmarks.erasure.hold_gate --read

What both judges said of every cell is kept in `bases/NAME/gate.csv`, beside the log of the base's training.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.worlds.gate import Cell, Gate, gate
from graphlab.erase.worlds.shipped import judges_of, shipped, shipped_names

BASES = Path(__file__).parent / "bases"
COLUMNS = ("prompts", "part", "form", "attribute", "judge", "right", "images")


def hold(name: str, images: int) -> Gate:
    """What the judges of a shipped base say, also written to its `gate.csv`."""
    base = shipped(name)
    found = gate(base, judges_of(base.world.name), images, tell=lambda line: _say(f"{name}: {line}"))
    path = BASES / name / "gate.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for cell in found.cells:
            right = cell.right
            writer.writerow((cell.prompts, cell.part, cell.form, cell.attribute, cell.judge, right.hits, right.count))
    return found


def kept(name: str) -> Gate:
    """What `gate.csv` of a base says; EraseError where there is none."""
    path = BASES / name / "gate.csv"
    if not path.exists():
        raise EraseError(f"{name} was not held against the gate", hint=f"python -m benchmarks.erasure.hold_gate {name}")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return Gate(tuple(map(_cell, rows)))


def table(names: Sequence[str]) -> str:
    """A row for each base, attribute, kind of prompt and judge, as Markdown."""
    lines = ["| base | attribute, prompts, judge | drawn right | images | worst form |", "|---|---|---|---|---|"]
    for name in names:
        found = kept(name)
        for what, share in found.attributes().items():
            worst = min(cell.right.value for cell in found.cells if cell.described == what)
            lines.append(f"| {name} | {what} | {share.value:.1%} | {share.count} | {worst:.1%} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command: 0, or 1 for an error and for a base below the gate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="shipped bases; all if not given")
    parser.add_argument("--images", type=int, default=240, help="images of each form, kind of prompt and part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--read", action="store_true", help="print what was found before")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    names = chosen.names or shipped_names()
    try:
        found = {name: kept(name) if chosen.read else hold(name, chosen.images) for name in names}
    except EraseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(names))
    failures = [f"- below the gate: {name}, {failure}" for name, gate in found.items() for failure in gate.failures()]
    print("\n".join(["", *failures]) if failures else "\n- every base passes")
    return 1 if failures else 0


def _cell(row: dict[str, str]) -> Cell:
    share = Share(int(row["right"]), int(row["images"]))
    part = row["part"]
    if part not in ("train", "calibration", "held_out"):
        raise EraseError(f"there is no part {part!r}")
    return Cell(row["prompts"], part, int(row["form"]), row["attribute"], row["judge"], share)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
