"""Probes of what moves data and computes little: pointwise operators, normalizations, copies, look-ups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.probe import Operation, Probe

aten = torch.ops.aten

ELEMENTS = (64, 4096, 32768, 262144, 2097152)
LARGEST = 2 << 20
"""Most elements of a normalized tensor that is measured."""

_UNARY: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "silu": (aten.silu.default, (), {}),
    "gelu": (aten.gelu.default, (), {}),
    "gelu_tanh": (aten.gelu.default, (), {"approximate": "tanh"}),
    "relu": (aten.relu.default, (), {}),
    "sigmoid": (aten.sigmoid.default, (), {}),
    "tanh": (aten.tanh.default, (), {}),
    "exp": (aten.exp.default, (), {}),
    "sin": (aten.sin.default, (), {}),
    "cos": (aten.cos.default, (), {}),
    "rsqrt": (aten.rsqrt.default, (), {}),
    "pow": (aten.pow.Tensor_Scalar, (2,), {}),
    "neg": (aten.neg.default, (), {}),
    "clamp": (aten.clamp.default, (-1.0, 1.0), {}),
    "clone": (aten.clone.default, (), {}),
    "to": (aten.to.dtype, (torch.float64,), {}),
}
_BINARY: dict[str, Any] = {
    "add": aten.add.Tensor,
    "sub": aten.sub.Tensor,
    "mul": aten.mul.Tensor,
    "div": aten.div.Tensor,
}
_FLOAT, _DOUBLE, _INDEX = 4, 8, 8


def sweep_probes() -> Iterator[Probe]:
    """Everything else, for float32. Bytes are read plus written, as the cost model counts them."""
    for elements in ELEMENTS:
        for name in _UNARY:
            written = _DOUBLE if name == "to" else _FLOAT
            yield Probe(name, (elements * (_FLOAT + written),), partial(_unary, name, elements))
        for name in _BINARY:
            yield Probe(name, (elements * 3 * _FLOAT,), partial(_binary, name, elements))
            yield Probe(f"{name}_scalar", (elements * 2 * _FLOAT,), partial(_scalar, name, elements))
        yield Probe("where", (elements * (1 + 3 * _FLOAT),), partial(_where, elements))
        yield Probe("fill", (elements * _FLOAT,), partial(_fill, elements))
        yield Probe("cat", (elements * 2 * _FLOAT,), partial(_cat, elements))
        yield Probe("upsample_nearest2d", (elements * 5 * _FLOAT // 4,), partial(_upsample, elements))
    for rows in (1, 64, 1024):
        yield Probe("embedding", (rows * (_INDEX + 2 * 256 * _FLOAT),), partial(_embedding, rows))
    for step, run, nbytes in product((1024, 2048, 4096), (4, 32, 256, 2048), (4 << 10, 64 << 10, 1 << 20, 16 << 20)):
        yield Probe("strided_copy", (step, run, nbytes), partial(_strided, step, run, nbytes))
    yield from _norms()


def _norms() -> Iterator[Probe]:
    grids: tuple[tuple[str, tuple[int, ...], tuple[int, ...], Callable[..., list[Operation]]], ...] = (
        ("layer_norm", (32, 128, 512, 2048), (1, 16, 128, 1024), _layer_norm),
        ("group_norm", (32, 256, 2048, 16384), (32, 256), _group_norm),
        ("rms_norm", (32, 128, 512, 2048), (1, 16, 128, 1024), _rms_norm),
        ("softmax", (16, 128, 1024), (16, 256, 2048), _softmax),
        ("mean", (32, 256, 2048), (1, 32, 512), _mean),
    )
    for name, widths, counts, build in grids:
        for row, rows in product(widths, counts):
            if row * rows <= LARGEST:
                yield Probe(name, (row, rows), partial(build, row, rows))


def _unary(name: str, elements: int, arena: Arena) -> list[Operation]:
    function, args, kwargs = _UNARY[name]
    return [Operation(function, (data, *args), kwargs, (data,)) for data in arena.activations(elements)]


def _binary(name: str, elements: int, arena: Arena) -> list[Operation]:
    first, second = arena.activations(elements)
    pairs = ((first, second), (second, first))
    return [Operation(_BINARY[name], pair, fresh=pair[:1]) for pair in pairs]


def _scalar(name: str, elements: int, arena: Arena) -> list[Operation]:
    return _on_each(_BINARY[name], arena.activations(elements), 1.5)


def _where(elements: int, arena: Arena) -> list[Operation]:
    first, second = arena.activations(elements)
    return [Operation(aten.where.self, (first > 0, first, second), fresh=(first,))]


def _fill(elements: int, arena: Arena) -> list[Operation]:
    return [Operation(aten.full.default, ([elements], 1.0), {"dtype": torch.float32})]


def _cat(elements: int, arena: Arena) -> list[Operation]:
    """Two halves, joined along the channels of a picture."""
    first, second = arena.activations(1, 2, elements // 4)
    pairs = ((first, second), (second, first))
    return [Operation(aten.cat.default, ([*pair], 1), fresh=pair[:1]) for pair in pairs]


def _upsample(elements: int, arena: Arena) -> list[Operation]:
    """`elements` are those of the result, 16 channels at least where there are as many."""
    side = 2 ** max(0, (int(math.log2(elements)) - 6) // 2)
    shape = (1, elements // 4 // side**2, side, side)
    return _on_each(aten.upsample_nearest2d.vec, arena.activations(*shape), None, [2.0, 2.0])


def _embedding(rows: int, arena: Arena) -> list[Operation]:
    table = arena.weights(64, 256)[0]
    return [Operation(aten.embedding.default, (table, arena.indices(1, rows)))]


def _strided(step: int, run: int, nbytes: int, arena: Arena) -> list[Operation]:
    """Two axes change places above runs of `run` bytes, three times `step` (or `run`, if longer) apart where the
    tensor is large enough for two rows of that.
    """
    places = max(nbytes // 2 // run, 1)
    columns = max(min(3 * max(step, run) // run, places // 2), 1)
    rows = places // columns
    pictures = arena.activations(rows, columns, run // _FLOAT)
    return [Operation(aten.contiguous.default, (data.transpose(0, 1),), fresh=(data,)) for data in pictures]


def _layer_norm(row: int, rows: int, arena: Arena) -> list[Operation]:
    scale, shift = arena.activations(row)
    return _on_each(aten.layer_norm.default, arena.activations(1, rows, row), [row], scale, shift)


def _group_norm(row: int, rows: int, arena: Arena) -> list[Operation]:
    """32 groups of at least one and at most eight channels each."""
    channels = 32 * max(1, min(8, row // 16))
    positions = row * 32 // channels
    scale, shift = arena.activations(channels)
    shape = (rows // 32, channels, positions)
    return _on_each(aten.group_norm.default, arena.activations(*shape), 32, scale, shift)


def _rms_norm(row: int, rows: int, arena: Arena) -> list[Operation]:
    scale = arena.activations(row)[0]
    return _on_each(aten.rms_norm.default, arena.activations(1, rows, row), [row], scale, 1e-6)


def _softmax(row: int, rows: int, arena: Arena) -> list[Operation]:
    return _on_each(aten.softmax.int, arena.activations(rows, row), -1)


def _mean(row: int, rows: int, arena: Arena) -> list[Operation]:
    return _on_each(aten.mean.dim, arena.activations(1, rows, row), [-1], True)


def _on_each(function: Any, data: list[torch.Tensor], *args: Any) -> list[Operation]:
    """`function` on every one of `data`, with the same further arguments."""
    return [Operation(function, (one, *args), fresh=(one,)) for one in data]
