"""`profile`: runs a source on this machine and tells which nodes took the time."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch

from graphlab.api import Source, workload_of
from graphlab.characterization.node_times import predicted_nodes
from graphlab.errors import GraphlabError
from graphlab.hardware import Hardware, load_device
from graphlab.measuring.casting import in_dtype
from graphlab.measuring.machine import check_threads, device_model, find_device, find_dtype, thread_count
from graphlab.measuring.stage import Prepared, Running, prepare_stage, profile_stage
from graphlab.prediction.model import model_for
from graphlab.report.profile_data import ProfileReport, StageProfile
from graphlab.workload import Workload

RANDOM = "inputs are random values, and so are weights where the source has none: times are real, results mean nothing"


def profile(
    source: Source,
    *,
    stage: str | None = None,
    rounds: int = 5,
    budget: float | None = None,
    threads: int | None = None,
    dtype: str | None = None,
    device: str = "cpu",
    predicted: str | os.PathLike[str] | Hardware | None = None,
    progress: Callable[[str], None] | None = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    **bindings: int | float,
) -> ProfileReport:
    """Measured seconds of every node of `source` on this machine, by the names and categories of `analyze`.

    Each stage is captured at its sizes, given values, and run node by node: once to warm up, then `rounds` times with
    a clock around every node and as often without. `budget` (seconds, over all stages) ends the rounds early; every
    call gets one. `threads` sets torch's threads, `dtype` ("float32", ...) casts stages that are built from a
    configuration, `device` is torch's: "cpu" or "cuda". `predicted`, a device or its file, puts the estimate of its
    time model beside each measured time. `stage`, `config`, `trust_pickle`, `inputs`, `progress` and
    `bindings` are those of `analyze`. A program read from a file may only call torch's own operators. Raises
    GraphlabError when something is unknown, does not fit the memory, or cannot be run on the device.
    """
    check_effort(rounds, budget, threads)
    target, wanted = find_device(device), find_dtype(dtype)
    hardware = load_device(predicted) if predicted is not None and not isinstance(predicted, Hardware) else predicted
    workload = workload_of(source, bindings, config, trust_pickle, inputs, dynamic=False)
    chosen = workload.active if stage is None else (workload.running(stage),)
    prepared = [prepare_stage(workload, in_dtype(s, wanted), target, trusted=_is_own(workload)) for s in chosen]
    calls = sum(len(item.calls) for item in prepared)
    running = Running(target, rounds, None if budget is None else budget / calls)
    found = []
    with thread_count(threads) as count:
        for item in prepared:
            if progress is not None:
                progress(item.stage.name)
            measured = profile_stage(item, running)
            found.append(measured if hardware is None else _with_estimates(measured, item, hardware))
    return ProfileReport(
        source=workload.source,
        workload=workload.name,
        bindings=workload.values(),
        device=device_model(target),
        device_type=target.type,
        threads=count,
        torch_version=torch.__version__,
        rounds=rounds,
        assumptions=workload.assumptions,
        stages=tuple(found),
        notes=(RANDOM, *(_estimate_notes(hardware, count) if hardware is not None else ())),
        predicted_for=hardware.name if hardware is not None else None,
    )


def _estimate_notes(hardware: Hardware, threads: int) -> list[str]:
    found = [f"predicted times are estimates for {hardware.title}"]
    if hardware.calibration is None:
        found.append(f"{hardware.name} was not calibrated here: two machines are compared, not a prediction checked")
    elif hardware.calibration.threads != threads:
        found.append(f"{hardware.name} was calibrated with {hardware.calibration.threads} threads, not {threads}")
    return found


def _with_estimates(measured: StageProfile, item: Prepared, hardware: Hardware) -> StageProfile:
    """`measured`, a profile of `item`, with what the time model of `hardware` says of each node."""
    model = model_for(hardware)
    calls = []
    for call, captured in zip(measured.calls, item.calls, strict=True):
        known = predicted_nodes(captured.facts, measured.name, measured.dtype, model)
        nodes = tuple(replace(node, predicted=known.get(node.name, 0.0)) for node in call.nodes)
        calls.append(replace(call, nodes=nodes))
    return replace(measured, calls=tuple(calls))


def check_effort(rounds: int = 1, budget: float | None = None, threads: int | None = None) -> None:
    """GraphlabError for rounds, seconds or threads that nothing can be measured with."""
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise GraphlabError(f"cannot measure {rounds!r} rounds", hint="expected an integer of at least 1")
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        raise GraphlabError(f"cannot measure for {budget!r} seconds", hint="expected a number above 0")
    check_threads(threads)


def _is_own(workload: Workload) -> bool:
    """Whether `workload` is the user's own code or object, rather than read from a file of anybody's."""
    path = Path(workload.source)
    return path.suffix not in _FILES and not path.is_file()


_FILES = (".pt", ".pt2", ".pth", ".bin", ".ckpt")
