"""Fused attention on a GPU: blocks of query rows over the multiprocessors, products and exponentials one after another.

Source of the blocking: Dao, "FlashAttention-2" (2023), section 3.2, and its kernels' block sizes (128 query rows, 64
beyond a head width of 128; head widths are padded to a multiple of 32, keys to a block of 64). Between the
products every score is scaled, compared, subtracted, exponentiated and summed, which section 3.1 of the paper counts:
exponentials on the special function units, 16 a clock and multiprocessor, the rest on the vector units (CUDA C++
Programming Guide, table of arithmetic throughput). A block waits for its queries, its keys and its values before it
writes its rows, and so has a least time: temporal attention is thousands of blocks with few keys.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from graphlab.kernels.data import Attention

WIDEST = 256
"""The widest head the fused kernels take; a wider one runs with its scores in memory."""

KEYS = 64
"""Keys that a block takes at a time."""

EXPONENTIALS_PER_CLOCK = 16
"""Of one multiprocessor: CUDA C++ Programming Guide, arithmetic instructions, compute capability 8.x and 9.0."""


class FlashEngine(NamedTuple):
    """`multiprocessors`; of each, FLOP/s in the products, exponentials a second, FLOP/s of the vector units, and the
    seconds it spends on a block of query rows however little there is to compute."""

    multiprocessors: int
    flops: float
    exponentials: float
    vector: float
    block_seconds: float


def block_rows(shape: Attention) -> int:
    """Query rows of a block."""
    return 128 if shape.width <= 128 else 64


def attention_seconds(shape: Attention, pointwise: float, engine: FlashEngine) -> float:
    """Seconds of arithmetic of `shape` as one fused kernel, `pointwise` FLOP a score; memory traffic not counted."""
    rows = block_rows(shape)
    width = math.ceil(shape.width / 32) * 32
    keys = math.ceil(shape.kv / KEYS) * KEYS
    if shape.causal and shape.q > 1:
        keys = math.ceil((keys - shape.q / 2) / KEYS) * KEYS
    blocks = shape.batch * shape.heads * math.ceil(shape.q / rows)
    waves = math.ceil(blocks / engine.multiprocessors)
    split = 1.0
    if waves == 1 and shape.q <= rows:  # few query rows: keys are split over the idle multiprocessors
        split = max(1.0, min(engine.multiprocessors // blocks, keys // KEYS))
    score = 4 * width / engine.flops + 1 / engine.exponentials + pointwise / engine.vector
    block = max(keys * rows * score / split, engine.block_seconds)
    return waves * block
