"""What a read that is not in memory order really fetches: whole cache lines, once or once a run.

A run of contiguous bytes is fetched in units (sectors or lines). The bytes behind it in the same unit are wanted
`reuse` runs later; a cache that holds as many units in between keeps it, a smaller one fetches it again. Reuse
distance against capacity is the stack-distance model of a fully associative cache with least recent use replaced
(Mattson et al., "Evaluation techniques for storage hierarchies", 1970); conflicts and prefetching are not modelled.
"""

from __future__ import annotations

import math

from graphlab.kernels.data import Contraction, Strided


def fetched_bytes(reads: Strided, unit: int, capacity: float) -> float:
    """Bytes fetched into a cache of `capacity` bytes whose fetch unit is `unit` bytes; at least `reads.nbytes`."""
    if reads.run >= unit or not reads.run:
        return float(reads.nbytes)
    if reads.reuse and reads.reuse * unit <= capacity:
        return float(reads.nbytes)
    return reads.nbytes / reads.run * unit


def hit_rate(reads: Strided | None, unit: int, capacity: float, access: int) -> float:
    """Share of accesses of `access` bytes that find their unit already in the cache, each byte being used once.

    Front to back, one access in unit / access misses. `reads` None is front to back.
    """
    if reads is None or not reads.run:
        return 1 - min(1.0, access / unit)
    accesses = math.ceil(reads.nbytes / min(access, reads.run))
    misses = fetched_bytes(reads, unit, capacity) / unit
    return max(0.0, 1 - misses / accesses)


def operand_loads(shape: Contraction, rows: int = 128, columns: int = 128) -> tuple[int, int]:
    """(elements that all output tiles of `rows` x `columns` load, elements there are): operands come back once a tile.

    A product of 16 frames is one tile and loads everything once; one of 1024 positions loads its keys eight times.
    """
    left, right = shape.m * shape.k, shape.n * shape.k
    loads = left * math.ceil(shape.n / columns) + right * math.ceil(shape.m / rows)
    return shape.batch * loads, shape.batch * (left + right)
