"""A calibration that no machine made: seconds are a known function of the sizes."""

from __future__ import annotations

import math
from collections.abc import Callable

from graphlab.calibration.data import CALLS, CLASSES, TABLES, Calibration, Table
from graphlab.hardware import Hardware

AXES = {
    "m": (1, 64, 1024), "n": (4, 64, 256), "k": (4, 64, 2304), "batch": (1, 16), "images": (1, 2), "heads": (1, 16),
    "q": (1, 64, 1024), "kv": (16, 256), "width": (16, 128), "bytes": (256, 65536, 1 << 24), "run": (4, 2048),
    "step": (1024, 4096), "row": (16, 1024), "rows": (1, 256),
}  # fmt: skip


def rate(table: str) -> float:
    """Work a second that the synthetic machine does in `table`: another for each."""
    return 1e6 * (2 + list(TABLES).index(table))


def seconds_at(table: str, sizes: tuple[int, ...]) -> float:
    """Constant rate: interpolation in logarithms is exact for it."""
    work = [size for axis, size in zip(TABLES[table], sizes, strict=True) if axis not in CLASSES]
    return math.prod(work) / rate(table)


def calibration(seconds: Callable[[str, tuple[int, ...]], float] = seconds_at) -> Calibration:
    """Every table filled by `seconds`."""
    from itertools import product

    return Calibration(
        machine="a machine of the mind",
        threads=1,
        torch="0",
        date="2000-01-01",
        rounds=1,
        dtype="float32",
        calls={name: 1e-9 * (2 + index) for index, name in enumerate(CALLS)},
        fault_from_bytes=1 << 20,
        fault_seconds_per_byte=1e-7,
        vector=16,
        tail_seconds=1e-6,
        tables={
            name: Table(name, axes, {sizes: seconds(name, sizes) for sizes in product(*(AXES[axis] for axis in axes))})
            for name, axes in TABLES.items()
        },
    )


def device() -> Hardware:
    """A device with that calibration."""
    return Hardware("mind", "mind", "cpu", 1 << 30, 1e10, {"float32": 1e11}, calibration=calibration())
