"""Steps of the moments of a group norm in PyTorch: one block of threads an image and group, however long the group.

ATen/native/cuda/group_norm_kernel.cu: the kernel of the moments has batch x groups blocks of 512 threads (of 32 where a
group has fewer values), and each thread goes through its values one after another, as a running mean must. An image
decoder has 32 groups of a million values and more: 32 blocks leave most of a GPU idle, and take the same time whatever
its bandwidth.
"""

from __future__ import annotations

import math

from graphlab.hardware import Execution
from graphlab.kernels.data import GroupNorm

THREADS = 512
WARP = 32
"""Threads of a block for groups of fewer values than THREADS."""
BLOCKS = 32
"""Blocks a multiprocessor holds at most (CUDA C++ Programming Guide, compute capability 8.0 and 9.0), taken for every
GPU: 8.6 holds 16 and 8.9 holds 24, so groups of fewer values than THREADS come out up to twice too quick there."""


def moments_steps(shape: GroupNorm, execution: Execution) -> int:
    """Values that a thread goes through, over all the waves of blocks, to take the moments of a group norm."""
    threads = THREADS if shape.values >= THREADS else WARP
    at_once = execution.multiprocessors * max(1, min(execution.resident_threads // threads, BLOCKS))
    return math.ceil(shape.groups / at_once) * math.ceil(shape.values / threads)
