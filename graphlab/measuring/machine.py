"""What machine a measurement was made on, and the settings it was made under."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from graphlab.errors import GraphlabError
from graphlab.names import nearest

CPUINFO = Path("/proc/cpuinfo")
DEVICES = ("cpu", "cuda")
DTYPES = ("float32", "float64", "float16", "bfloat16")


def find_device(name: str) -> torch.device:
    """torch's device of `name` ("cpu", "cuda"); GraphlabError for another name or one this machine does not have."""
    if name not in DEVICES:
        raise GraphlabError(
            f"cannot profile on {name!r}", hint=f"{nearest(name, DEVICES)}expected one of {', '.join(DEVICES)}"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise GraphlabError("this machine has no CUDA device that torch can use", hint="leave --device out for the CPU")
    return torch.device(name)


def find_dtype(name: str | None) -> str | None:
    """`name` where it is a dtype that weights can be cast to, None for None; GraphlabError otherwise."""
    if name is None or name in DTYPES:
        return name
    raise GraphlabError(
        f"{name!r} is no dtype to profile in", hint=f"{nearest(name, DTYPES)}expected one of {', '.join(DTYPES)}"
    )


def device_model(device: torch.device) -> str:
    """The model of the processor as the system names it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def check_threads(threads: int | None) -> None:
    """GraphlabError where torch cannot run an operator in `threads` threads; None is as many as it chooses itself.

    The bound is far above what helps: with tens of thousands torch ends the process.
    """
    most = 16 * (os.cpu_count() or 1)
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise GraphlabError(f"cannot run on {threads!r} threads", hint="expected an integer of at least 1")
    if threads is not None and threads > most:
        raise GraphlabError(
            f"cannot run on {threads} threads", hint=f"this machine has {os.cpu_count()} processors: at most {most}"
        )


@contextmanager
def thread_count(threads: int | None) -> Iterator[int]:
    """torch's threads inside an operator set to `threads`, and set back after; yields how many there are.

    GraphlabError for an impossible number, as `check_threads`.
    """
    check_threads(threads)
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
