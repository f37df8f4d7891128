"""Sets the constants of the GPU model whose source is "fit": `python benchmarks/fit_gpu_constants.py [--write]`.

Least squares of log(predicted / published) over the rows with role = "fit" of published_times.toml and no others, by
coordinate descent inside bounds that are physical (a share of a peak is below 1). A weak pull towards the middle of
the bounds decides what the rows leave open.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.gpu_times import predicted_seconds, rows
from graphlab.prediction.constants import GpuConstants, gpu_constants

BOUNDS = {
    "convolution_share": (0.3, 1.0),
    "bandwidth_share": (0.6, 0.95),
    "kernel_seconds": (2e-6, 8e-6),
    "replay_seconds": (1e-6, 6e-6),
    "dispatch_seconds": (5e-6, 5e-5),
    "tile_clocks": (300, 4000),
}
PULL = 0.01
TABLE = Path(__file__).parent.parent / "graphlab" / "prediction" / "constants.toml"


def loss(constants: GpuConstants) -> float:
    """Sum of squared log errors over the fit rows, and the pull."""
    total = sum(math.log(predicted_seconds(row, constants) / row["seconds"]) ** 2 for row in rows("fit"))
    for name, (low, high) in BOUNDS.items():
        place = (math.log(getattr(constants, name)) - math.log(low)) / (math.log(high) - math.log(low))
        total += PULL * (place - 0.5) ** 2
    return total


def fitted(constants: GpuConstants) -> GpuConstants:
    """`constants` with everything in BOUNDS set by coordinate descent, steps halving from 20 % to 1 %."""
    best, step = loss(constants), 0.2
    while step > 0.01:
        moved = False
        for name, (low, high) in BOUNDS.items():
            for factor in (1 + step, 1 / (1 + step)):
                value = min(max(getattr(constants, name) * factor, low), high)
                trial = replace(constants, **{name: value})
                found = loss(trial)
                if found < best - 1e-9:
                    constants, best, moved = trial, found, True
        step = step if moved else step / 2
    return constants


def write(constants: GpuConstants) -> None:
    """The fitted values into constants.toml, rounded to two digits."""
    text = TABLE.read_text()
    for name in BOUNDS:
        value = float(f"{getattr(constants, name):.2g}")
        text = re.sub(rf"(\[{name}\]\nvalue = )\S+", rf"\g<1>{value!r}", text)
    TABLE.write_text(text)


def main() -> None:
    """Prints the fitted constants and the error of every fit row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    constants = fitted(gpu_constants())
    for name, value in asdict(constants).items():
        print(f"{name:24} {value:.3g}{'  fit' if name in BOUNDS else ''}")
    for row in rows("fit"):
        predicted = predicted_seconds(row, constants)
        print(f"{row['id']:32} {row['seconds']:10.4f} {predicted:10.4f} {predicted / row['seconds'] - 1:+7.1%}")
    if options.write:
        write(constants)


if __name__ == "__main__":
    main()
