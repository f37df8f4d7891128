"""Matrix products on a GPU: a grid of output tiles, run in waves over the multiprocessors.

Source of the picture and of the word: NVIDIA, "Matrix Multiplication Background User's Guide" (tile and wave
quantization). Each multiprocessor works on one tile at a time; the last wave and the tiles that hang over the edge
cost as much as full ones. How fast a tile runs is bounded by the tensor rate and by how fast the second-level cache
feeds it: a tile of tm x tn reads (tm + tn) values for every tm x tn multiply-adds.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from graphlab.kernels.data import Contraction

TILES = ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64), (128, 32), (32, 128), (64, 32), (32, 64))
"""Tile shapes a library chooses from, in output rows x columns; those of CUTLASS's default tensor-core kernels."""

SPLITS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Ways to split k, so that a product with few tiles still fills the device (split-k)."""

K_STEP = 32
"""Values of k a tile multiplies at a time: k is rounded up to it."""


class Engine(NamedTuple):
    """What multiplies: `multiprocessors` of them, FLOP/s of each, bytes/s the cache feeds each, and the seconds that
    filling and draining a tile's pipeline take (latency: the same however fast the multiplying is)."""

    multiprocessors: int
    flops: float
    feed: float
    ramp: float


def contraction_seconds(shape: Contraction, itemsize: int, engine: Engine) -> float:
    """Seconds of arithmetic of `shape` on `engine` with the best of TILES and SPLITS; memory traffic not counted."""
    return min(
        _seconds(shape, tm, tn, split, itemsize, engine) for tm, tn in TILES for split in SPLITS if split <= shape.k
    )


def _seconds(shape: Contraction, tm: int, tn: int, split: int, itemsize: int, engine: Engine) -> float:
    tiles = shape.batch * math.ceil(shape.m / tm) * math.ceil(shape.n / tn) * split
    waves = math.ceil(tiles / engine.multiprocessors)
    if split > 1 and waves > 1:
        return math.inf
    k = math.ceil(shape.k / split / K_STEP) * K_STEP
    flops = 2 * tm * tn * k
    fed = (tm + tn) * k * itemsize
    sums = 8 * tm * tn / engine.feed if split > 1 else 0.0  # partial sums in float32, written and read once
    return waves * (max(flops / engine.flops, fed / engine.feed) + sums + engine.ramp)


def utilization(shape: Contraction, itemsize: int, engine: Engine) -> float:
    """The share of the engine's rate that `shape` reaches, 0 to 1."""
    flops = 2 * shape.batch * shape.m * shape.n * shape.k
    return flops / (contraction_seconds(shape, itemsize, engine) * engine.flops * engine.multiprocessors)
