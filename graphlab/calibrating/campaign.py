"""`Campaign`: every probe once a round, in turn, so that a machine that drifts drifts for all of them."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from statistics import median

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.block import block
from graphlab.calibrating.dispatch import (
    CALL,
    FRESH,
    KEYS,
    MAPPED_FROM,
    QUERIES,
    REUSED,
    TAIL,
    TRIAD,
    dispatch_probes,
    vector_elements,
)
from graphlab.calibrating.probe import Clock, Probe, sampler
from graphlab.calibrating.products import product_probes
from graphlab.calibrating.sweeps import sweep_probes
from graphlab.calibration.data import CALLS, TABLES, Calibration, Table
from graphlab.measuring.machine import device_model

SEED = 0

LEAST = 1e-9
"""Seconds of a call that the clock cannot tell from nothing."""

LEAST_COST = 1e-15
"""Seconds per byte of touching fresh memory where none could be told from old memory."""


def all_probes() -> list[Probe]:
    """Every probe of a calibration, in the order of a round."""
    return [*dispatch_probes(), *sweep_probes(), *product_probes()]


class Campaign:
    """`probes` made ready on `arena`. `clock` is theirs; rounds are added one at a time."""

    def __init__(self, probes: Iterable[Probe], arena: Arena, clock: Clock = time.perf_counter) -> None:
        between = block(arena)
        self.samplers = tuple(sampler(probe, arena, between, clock) for probe in probes)
        self.rounds = 0
        self._clock = clock
        self._order = list(self.samplers)
        self._random = random.Random(SEED)

    def warm_up(self, step: Callable[[str], None] | None = None) -> None:
        """Runs every probe twice, unsampled; `step` hears the table of each."""
        with quiet():
            for item in self.samplers:
                if step is not None:
                    step(item.probe.table)
                item.warm_up()

    def round(self) -> None:
        """At least one sample of every probe, in an order that differs from round to round."""
        self._random.shuffle(self._order)
        with quiet():
            for item in self._order:
                item.sample()
        self.rounds += 1

    def seconds(self) -> dict[tuple[str, tuple[int, ...]], float]:
        """{(table, sizes): median seconds of one call}, what reading the clock takes being left out."""
        least = clock_seconds(self._clock)
        return {(s.probe.table, s.probe.sizes): max(median(s.samples) - least, LEAST) for s in self.samplers}

    def calibration(self) -> Calibration:
        """What the rounds found, in medians."""
        found = self.seconds()
        fresh, reused = found[FRESH, (MAPPED_FROM,)], found[REUSED, (MAPPED_FROM,)]
        return Calibration(
            machine=device_model(torch.device("cpu")),
            threads=torch.get_num_threads(),
            torch=str(torch.__version__),
            date=date.today().isoformat(),
            rounds=self.rounds,
            dtype="float32",
            calls={name: found[CALL, (index,)] for index, name in enumerate(CALLS)},
            fault_from_bytes=MAPPED_FROM,
            fault_seconds_per_byte=max((fresh - 2 * reused) / MAPPED_FROM, LEAST_COST),
            vector=vector_elements(),
            tail_seconds=_tail_seconds(found),
            tables={name: Table(name, axes, _points(found, name)) for name, axes in TABLES.items()},
        )

    def bandwidth(self) -> float:
        """Bytes a second of adding two tensors into a third, all far larger than a cache."""
        return 3 * MAPPED_FROM / self.seconds()[TRIAD, (3 * MAPPED_FROM,)]

    def best_rate(self) -> float:
        """The most FLOP a second that a product reached."""
        rates = [2 * math.prod(sizes) / s for (table, sizes), s in self.seconds().items() if table == "linear"]
        return max(rates)


def _tail_seconds(found: Mapping[tuple[str, tuple[int, ...]], float]) -> float:
    """Seconds of a query and a key in the tail: what is left when the keys' own share of the time is taken off."""
    tail = vector_elements() - 1
    plain, ragged = found[TAIL, (KEYS,)], found[TAIL, (KEYS + tail,)]
    return max((ragged - plain * (KEYS + tail) / KEYS) / (QUERIES * tail), LEAST_COST)


def _points(found: Mapping[tuple[str, tuple[int, ...]], float], name: str) -> dict[tuple[int, ...], float]:
    return {sizes: seconds for (table, sizes), seconds in sorted(found.items()) if table == name}


def clock_seconds(clock: Clock) -> float:
    """Seconds between two readings of `clock` with nothing between them, the median of many."""
    return median(-(clock() - clock()) for _ in range(1001))


@contextmanager
def quiet() -> Iterator[None]:
    """Inference mode, without Python's garbage collector, which would land in the time of some probe."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        if enabled:
            gc.enable()
