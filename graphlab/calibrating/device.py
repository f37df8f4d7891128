"""`calibrate`: measures this machine and returns it as a `Hardware`, and the text of its device file."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.campaign import Campaign, all_probes
from graphlab.calibrating.probe import Clock
from graphlab.calibration.format import calibration_text
from graphlab.errors import GraphlabError
from graphlab.hardware import Hardware
from graphlab.measuring.machine import thread_count

ROUNDS, BUDGET = 20, 60.0
"""Rounds of all probes, and the seconds after which no further one starts."""


def calibrate(
    *,
    title: str | None = None,
    threads: int | None = None,
    rounds: int = ROUNDS,
    budget: float = BUDGET,
    progress: Callable[[str], None] | None = None,
) -> Hardware:
    """This machine's processor as a device, with the calibration that `CalibratedModel` predicts by.

    Every probe (one operator at one size, float32) runs once a round, in turn: `rounds` times, or as often as
    `budget` seconds allow, warming up included; one round is always made. `threads` sets torch's threads for the
    time of it. `progress` hears what is being measured. `title` is what tables call the device, by default its
    processor. Its `bandwidth` is what adding two tensors into a third reaches, `peak_flops["float32"]` the best rate
    of a matrix product. GraphlabError for impossible options.
    """
    _check(title, threads, rounds, budget)
    with thread_count(threads):
        campaign = run_campaign(Campaign(all_probes(), Arena()), rounds, budget, progress)
        return hardware_of(campaign, title)


def run_campaign(
    campaign: Campaign,
    rounds: int,
    budget: float,
    progress: Callable[[str], None] | None = None,
    clock: Clock = time.perf_counter,
) -> Campaign:
    """`campaign` after up to `rounds` rounds; none but the first starts after `budget` seconds by `clock`."""
    end = clock() + budget
    say = progress if progress is not None else lambda text: None
    say("warming up")
    campaign.warm_up()
    for number in range(rounds):
        if number and clock() >= end:
            break
        say(f"round {number + 1} of up to {rounds}")
        campaign.round()
    return campaign


def hardware_of(campaign: Campaign, title: str | None = None) -> Hardware:
    """The device that `campaign` measured."""
    found = campaign.calibration()
    measured = f"measured by graphlab calibrate on {found.date}"
    return Hardware(
        name="this-machine",
        title=title or f"{found.machine}, {found.threads} threads",
        kind="cpu",
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        bandwidth=campaign.bandwidth(),
        peak_flops={"float32": campaign.best_rate()},
        sources={
            "memory_bytes": "the operating system",
            "memory_bandwidth": f"{measured}: a + b into c, 32 MiB each",
            "peak_flops.float32": f"{measured}: the fastest matrix product",
        },
        note=f"a calibration of one machine with {found.threads} threads; other machines of its kind differ",
        calibration=found,
    )


def device_text(hardware: Hardware) -> str:
    """`hardware`, which was calibrated, as a device file that `graphlab.hardware.load_device` reads back."""
    assert hardware.calibration is not None
    head = "".join(f"{line}\n" for line in _lines(hardware))
    return f"{head}\n{calibration_text(hardware.calibration)}"


def _lines(hardware: Hardware) -> Iterator[str]:
    yield f"title = {_quoted(hardware.title)}"
    yield f"kind = {_quoted(hardware.kind)}"
    yield f"memory_bytes = {hardware.memory_bytes}"
    yield f"memory_bandwidth = {hardware.bandwidth!r}"
    yield f"note = {_quoted(hardware.note)}"
    yield from ("", "[peak_flops]", *(f"{key} = {value!r}" for key, value in hardware.peak_flops.items()))
    yield from ("", "[sources]", *(f"{_quoted(key)} = {_quoted(text)}" for key, text in hardware.sources.items()))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _check(title: str | None, threads: int | None, rounds: int, budget: float) -> None:
    if title is not None and not title.strip():
        raise GraphlabError("the name of a device cannot be empty")
    for what, count in (("threads", threads), ("rounds", rounds)):
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise GraphlabError(f"cannot calibrate with {count!r} {what}", hint="expected an integer of at least 1")
    if not (math.isfinite(budget) and budget > 0):
        raise GraphlabError(f"cannot calibrate in {budget!r} seconds", hint="expected a number above 0")
