"""Sizes and seeds to run a model at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from graphlab.graph import Graph
from graphlab.measuring.memory import available_bytes
from graphlab.units import format_bytes
from graphlab.verification.bindings import candidates, peak_bytes
from graphlab.verification.tape import Tape

CHEAP_BYTES = 128 << 20
"""Activations up to which the example of the capture is one of the runs."""
RUNS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """`sizes` {symbol: size} and the `seed` of the inputs."""

    sizes: Mapping[str, int]
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The case as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chosen:
    """`cases` in the order to try them, the first RUNS that run count; `refused` those that memory is too small for."""

    cases: tuple[Case, ...]
    refused: tuple[str, ...]


def chosen_cases(program: Tape, weight_bytes: int) -> Chosen:
    """Small sizes inside the guards of `program`, then the example where it is cheap; twice the example of a static
    program, with other inputs. `weight_bytes` are those of the model."""
    free = available_bytes(torch.device("cpu"))
    ordered = _ordered(program)
    cases, refused = [], []
    for case in ordered:
        need = needed_bytes(program, case.sizes, weight_bytes)
        if free is None or need <= free:
            cases.append(case)
        else:
            refused.append(f"{_shown(case)} needs about {format_bytes(need)} of memory, {format_bytes(free)} are free")
    return Chosen(tuple(cases), tuple(refused))


def needed_bytes(program: Tape, sizes: Mapping[str, int], weight_bytes: int) -> int:
    """An estimate of what one side takes: a runtime holds weights twice while it loads them, and packs some anew."""
    return 2 * weight_bytes + activation_bytes(program, sizes)


def activation_bytes(program: Tape, sizes: Mapping[str, int]) -> int:
    """Most bytes of results alive at once in float64, which is twice what a run in float32 holds."""
    return peak_bytes(program.calls, program.specs(sizes))


def _ordered(program: Tape) -> list[Case]:
    graph: Graph = program.program.graph
    found = list(candidates(graph))
    example, others = found[-1], found[:-1]
    if not others:
        return [Case(example, seed) for seed in range(RUNS)]
    cheap = activation_bytes(program, example) <= CHEAP_BYTES
    order = [others[0], example, *others[1:]] if cheap else [*others, example]
    return [*map(Case, order), Case(order[0], 1)]


def _shown(case: Case) -> str:
    return ", ".join(f"{name}={size}" for name, size in case.sizes.items()) or "the program"
