"""The machine and the software a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from graphlab import __version__
from graphlab.measuring.machine import device_model
from graphlab.report.bench_data import Environment

GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
MEMINFO = Path("/proc/meminfo")
_PACKAGES = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml"),
    "openvino": ("openvino",),
}


def environment(threads: int | None) -> Environment:
    """The stamp of this machine; `threads` are those asked for, else as many as torch takes."""
    return Environment(
        cpu=device_model(torch.device("cpu")),
        cores=usable_cores(),
        threads=threads if threads is not None else torch.get_num_threads(),
        memory_bytes=_memory(),
        governor=_governor(),
        load_average=_load(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        system=f"{platform.system()} {platform.release()}",
        versions={
            "graphlab": __version__,
            "python": platform.python_version(),
            **{name: _version(packages) for name, packages in _PACKAGES.items()},
        },
    )


def usable_cores() -> int:
    """Processors this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _governor() -> str | None:
    """How the system sets the clock of the first processor; virtual machines hide it."""
    try:
        return GOVERNOR.read_text().strip() or None
    except OSError:
        return None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return None


def _version(packages: tuple[str, ...]) -> str | None:
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return None
