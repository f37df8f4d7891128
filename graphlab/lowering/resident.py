"""Memory of this process as the system counts it: resident now, and its peak since the last reset."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def resident_bytes() -> int | None:
    """Bytes of this process in memory now; None where the system does not say."""
    return _field("VmRSS")


def peak_bytes() -> int | None:
    """The most bytes of this process in memory since `reset_peak`, or since it started where that is not possible."""
    return _field("VmHWM")


def reset_peak() -> bool:
    """Starts the peak anew; False where the system does not allow it, and the peak stays that of the whole process."""
    try:
        CLEAR.write_text("5")  # proc(5): resets the peak resident set size
    except OSError:
        return False
    return True


def release() -> None:
    """Gives freed memory back to the system, so that what is resident is what is in use."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # another libc: its allocator decides by itself
        return


def _field(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None
