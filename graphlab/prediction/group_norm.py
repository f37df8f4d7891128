"""Seconds of the moments of a group norm in PyTorch: one block of threads an image and group, however long the group.

ATen/native/cuda/group_norm_kernel.cu: the kernel of the moments has batch x groups blocks of 512 threads, and each
thread goes through its values one after another, as a running mean must. An image decoder has 32 groups of a million
values and more: 32 blocks leave most of a GPU idle, and take the same time whatever its bandwidth. (Later sources have
another kernel for the channels-last layout; torch 2.11 was measured.)
"""

from __future__ import annotations

import math

from graphlab.kernels.data import Kernel
from graphlab.prediction.calibrated_names import row_and_rows

THREADS = 512
"""Threads of a block; groups of fewer values have one warp, and take no time worth the difference."""
RESIDENT = 2048
"""Threads a multiprocessor holds at once."""


def is_group_norm(kernel: Kernel) -> bool:
    """Whether `kernel` is a group norm, by itself or with what is fused to it."""
    return kernel.family == "normalization" and "group_norm" in kernel.op


def moments_steps(kernel: Kernel, multiprocessors: int) -> int:
    """Values that a thread goes through, over all the waves of blocks, to take the moments of a group norm."""
    values, groups = row_and_rows(kernel)
    waves = math.ceil(groups / (multiprocessors * (RESIDENT // THREADS)))
    return waves * math.ceil(values / THREADS)
