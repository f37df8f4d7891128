"""Probes of calls that compute next to nothing, and of the memory itself."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.probe import Operation, Probe
from graphlab.calibration.data import CALLS

aten = torch.ops.aten

CALL, TRIAD, REUSED, FRESH, TAIL = "call", "triad", "reused", "fresh", "tail"
"""Names of probes that fill no table: calls, the bandwidth, writing memory that is old or new, and attention over
keys that fill vectors or leave a tail."""

QUERIES, KEYS = 2048, 64
"""Queries of the attentions of TAIL, and their keys: so many, and one less than a vector more."""

MAPPED_FROM = 32 << 20
"""Bytes from which glibc maps memory anew for every allocation, however many were freed before
(malloc.c, DEFAULT_MMAP_THRESHOLD_MAX on 64-bit systems)."""

_VIEWS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "view": (aten.view.default, ([1, 4, 2, 8],)),
    "reshape": (aten.reshape.default, ([1, 4, 2, 8],)),
    "transpose": (aten.transpose.int, (1, 2)),
    "permute": (aten.permute.default, ([0, 2, 3, 1],)),
    "unsqueeze": (aten.unsqueeze.default, (0,)),
    "squeeze": (aten.squeeze.dim, (0,)),
    "slice": (aten.slice.Tensor, (1, 0, 2)),
    "select": (aten.select.int, (0, 0)),
    "expand": (aten.expand.default, ([1, 4, 4, 4],)),
    "chunk": (aten.chunk.default, (4, 1)),
    "split": (aten.split.Tensor, (1, 1)),
    "unbind": (aten.unbind.int, (1,)),
    "flatten": (aten.flatten.using_ints, (1, 2)),
    "unflatten": (aten.unflatten.int, (3, [2, 2])),
    "dropout": (aten.dropout.default, (0.0, False)),
    "to": (aten.to.dtype, (torch.float32,)),
    "type_as": (aten.type_as.default, ()),
    "contiguous": (aten.contiguous.default, ()),
    "detach": (aten.detach.default, ()),
}
"""Each on a tensor of shape (1, 4, 4, 4)."""


def dispatch_probes() -> Iterator[Probe]:
    """One probe for each of CALLS (its place there is its size), then those of the memory."""
    for index, name in enumerate(CALLS):
        yield Probe(CALL, (index,), partial(_call, name))
    yield Probe(TRIAD, (3 * MAPPED_FROM,), _triad)
    yield Probe(REUSED, (MAPPED_FROM,), partial(_written, MAPPED_FROM // 2))
    yield Probe(FRESH, (MAPPED_FROM,), partial(_written, MAPPED_FROM))
    for keys in (KEYS, KEYS + vector_elements() - 1):
        yield Probe(TAIL, (keys,), partial(_tail, keys))


def vector_elements() -> int:
    """float32 elements of one vector instruction of this processor, as torch uses it."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {"AVX512": 16, "AVX2": 8, "DEFAULT": 4}.get(capability, 4)


def _call(name: str, arena: Arena) -> list[Operation]:
    data = arena.activations(1, 4, 4, 4)[0]
    if name == "add":
        return [Operation(aten.add.Tensor, (data, data), fresh=(data,))]
    if name == "getitem":
        return [Operation(operator.getitem, ([data, data], 1))]
    function, args = _VIEWS[name]
    return [Operation(function, (data, data) if name == "type_as" else (data, *args), fresh=(data,))]


def _triad(arena: Arena) -> list[Operation]:
    first, second = arena.activations(MAPPED_FROM // 4)
    return [Operation(torch.add, (first, second), {"out": torch.empty_like(first)})]


def _written(nbytes: int, arena: Arena) -> list[Operation]:
    return [Operation(aten.full.default, ([nbytes // 4], 1.0), {"dtype": torch.float32})]


def _tail(keys: int, arena: Arena) -> list[Operation]:
    query = arena.activations(1, QUERIES // 4, 4, 32)[0].transpose(1, 2)
    key, value = (data.transpose(1, 2) for data in arena.activations(1, keys, 4, 32))
    triple = (query, key, value)
    return [Operation(aten.scaled_dot_product_attention.default, triple, fresh=triple)]
