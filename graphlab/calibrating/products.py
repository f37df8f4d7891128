"""Probes of linear layers, matrix products, convolutions and fused attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.probe import Operation, Probe

aten = torch.ops.aten

LARGEST = 1_300_000_000
"""Most FLOP of one call that is measured; larger products run at the rate of these."""

LARGEST_OPERAND = 4 << 20
"""Most elements of one operand of an attention."""

ROWS, WIDTHS = (1, 8, 64, 256, 1024), (16, 64, 256, 1024)
SIDES = {16: (4, 4), 64: (8, 8), 256: (16, 16), 1024: (32, 32), 4096: (64, 64), 16384: (128, 128)}
PAIRS = {16: (2, 4), 64: (4, 8), 256: (8, 16), 1024: (16, 32), 4096: (32, 64), 16384: (64, 128)}
CHANNELS = (4, 32, 128, 512)
UNEVEN = (112, 208)
"""Seven and thirteen blocks of 16 channels."""

CUBES = {64: (4, 4, 4), 512: (8, 8, 8), 4096: (16, 16, 16)}


def product_probes() -> Iterator[Probe]:
    """Everything that contracts, for float32."""
    for m, n, k in product(ROWS, WIDTHS, WIDTHS):
        yield from _capped("linear", (m, n, k), _linear)
    for sizes in product((1, 16), (16, 128), (16, 128), (16, 128)):
        yield from _capped("matmul", sizes, _matmul)
    for lead, q, kv, width in product((1, 2, 16, 128), (1, 16, 64, 256, 1024), (16, 64, 256, 1024), (16, 64, 128)):
        if lead * max(q, kv) * width <= LARGEST_OPERAND:
            yield from _capped("attention", (lead, q, kv, width), _attention, work=4)
    yield from _convolutions()


def _capped(
    table: str, sizes: tuple[int, ...], build: Callable[..., Sequence[Operation]], work: int = 2
) -> Iterator[Probe]:
    if work * math.prod(sizes) <= LARGEST:
        yield Probe(table, sizes, partial(build, sizes))


def _linear(sizes: tuple[int, ...], arena: Arena) -> list[Operation]:
    m, n, k = sizes
    bias = arena.activations(n)[0]
    pairs = _pairs(arena.activations(1, m, k), arena.weights(n, k))
    return [Operation(aten.linear.default, (data, weight, bias), {}, (data,)) for data, weight in pairs]


def _matmul(sizes: tuple[int, ...], arena: Arena) -> list[Operation]:
    batch, m, n, k = sizes
    pairs = zip(arena.activations(batch, m, k), arena.activations(batch, k, n), strict=True)
    return [Operation(aten.matmul.default, pair, fresh=pair) for pair in pairs]


def _attention(sizes: tuple[int, ...], arena: Arena) -> list[Operation]:
    """Queries, keys and values as a model has them: (batch, tokens, heads, width), seen with heads first."""
    lead, q, kv, width = sizes
    heads = min(lead, 8)
    queries = [data.transpose(1, 2) for data in arena.activations(lead // heads, q, heads, width)]
    keys = [data.transpose(1, 2) for data in arena.activations(lead // heads, kv, heads, width)]
    triples = [(query, keys[i], keys[1 - i]) for i, query in enumerate(queries)]
    return [Operation(aten.scaled_dot_product_attention.default, triple, fresh=triple) for triple in triples]


def _convolutions() -> Iterator[Probe]:
    for (m, side), n, c in product(SIDES.items(), CHANNELS, CHANNELS):
        for images, extent in ((1, side), (2, PAIRS[m])):
            yield from _convolution("conv_1x1", (images, m, n, c), extent, (1, 1))
            yield from _convolution("conv_3x3", (images, m, n, 9 * c), extent, (3, 3), padding=[1, 1])
    for m, n, c in product((64, 1024, 4096), UNEVEN, CHANNELS[1:]):
        yield from _convolution("conv_3x3_uneven", (m, n, 9 * c), SIDES[m], (3, 3), padding=[1, 1])
    for (m, side), n, c in product(list(SIDES.items())[:4], CHANNELS[1:], CHANNELS[1:]):
        double = (side[0] * 2, side[1] * 2)
        yield from _convolution("conv_3x3_stride2", (m, n, 9 * c), double, (3, 3), stride=[2, 2], padding=[1, 1])
    for (m, side), n, c in product(list(SIDES.items())[1:4], (64, 512), (4, 16)):
        double = (side[0] * 2, side[1] * 2)
        yield from _convolution("conv_patch", (m, n, 4 * c), double, (2, 2), stride=[2, 2])
    for (m, cube), n, c in product(CUBES.items(), CHANNELS[1:], CHANNELS[1:]):
        yield from _convolution("conv_3x1x1", (m, n, 3 * c), cube, (3, 1, 1), padding=[1, 0, 0])
    for (m, cube), n, c in product(CUBES.items(), CHANNELS[:3], CHANNELS[:3]):
        yield from _convolution("conv_3x3x3", (m, n, 27 * c), cube, (3, 3, 3), padding=[1, 1, 1])
    for m, n in product((64, 1024), (32, 256)):
        yield Probe("conv_depthwise", (m, n, 9), partial(_depthwise, SIDES[m], n))


def _convolution(
    table: str, sizes: tuple[int, ...], extent: tuple[int, ...], window: tuple[int, ...], **kwargs: list[int]
) -> Iterator[Probe]:
    """`sizes` are m, n and k, and before them the pictures of a batch where the table has that axis."""
    images = sizes[0] if len(sizes) == 4 else 1
    if 2 * math.prod(sizes[-3:]) <= LARGEST:
        yield Probe(table, sizes, partial(_convolve, images, sizes[-2], sizes[-1], extent, window, kwargs))


def _convolve(
    images: int,
    n: int,
    k: int,
    extent: tuple[int, ...],
    window: tuple[int, ...],
    kwargs: dict[str, list[int]],
    arena: Arena,
) -> list[Operation]:
    channels = k // math.prod(window)
    function: Any = aten.conv2d.default if len(window) == 2 else aten.conv3d.default
    pairs = _pairs(arena.activations(images, channels, *extent), arena.weights(n, channels, *window))
    bias = arena.activations(n)[0]
    return [Operation(function, (data, weight, bias), dict(kwargs), (data,)) for data, weight in pairs]


def _depthwise(side: tuple[int, int], channels: int, arena: Arena) -> list[Operation]:
    pairs = _pairs(arena.activations(1, channels, *side), arena.weights(channels, 1, 3, 3))
    kwargs = {"padding": [1, 1], "groups": channels}
    return [Operation(aten.conv2d.default, (data, weight), kwargs, (data,)) for data, weight in pairs]


def _pairs(data: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Every weight, each with one of `data` in turn."""
    return [(data[i % len(data)], weight) for i, weight in enumerate(weights)]
