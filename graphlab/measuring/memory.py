"""Whether a stage fits this machine, asked before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from graphlab.errors import GraphlabError
from graphlab.pipeline import Facts
from graphlab.units import format_bytes

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def needed_bytes(facts: Facts) -> int:
    """Bytes of weights plus the peak of activations, inputs among them.

    A fused attention keeps no scores; one spelled out in the graph writes them.
    """
    spelled = any(not site.fused for site in facts.result("attention"))
    peak = facts.result("memory")["materialized" if spelled else "fused"].peak_bytes
    return int(peak) + sum(int(node.out.nbytes) for node in facts.graph.weights)


def available_bytes(device: torch.device) -> int | None:
    """Bytes that can still be allocated on `device`; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    known = [size for size in (_meminfo(), _cgroup()) if size is not None]
    return min(known) if known else _physical()


def refuse_too_large(stage: str, need: int, device: torch.device) -> None:
    """GraphlabError when `need` bytes are more than `device` has left."""
    free = available_bytes(device)
    if free is not None and need > free:
        raise GraphlabError(
            f"{stage} needs {format_bytes(need)} for weights and activations; {format_bytes(free)} are available",
            hint="profile smaller sizes with --set, one --stage, or a -tiny model",
        )


def _meminfo() -> int | None:
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None


def _cgroup() -> int | None:
    """What is left of the limit of this process's control group; None without one."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = (CGROUP / "memory.current").read_text().strip()
    except OSError:
        return None
    return max(int(limit) - int(used), 0) if limit.isdecimal() and used.isdecimal() else None


def _physical() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
