"""What runs between two samples: a few operators on small tensors, as a transformer's block calls them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from graphlab.calibrating.arena import Arena
from graphlab.calibrating.probe import Operation, calls_of

aten = torch.ops.aten

TOKENS, WIDTH, HEADS = 16, 64, 4


def block(arena: Arena) -> Callable[[], None]:
    """A function that runs the block once: about fifteen calls, none of which takes longer than its dispatch."""
    data = arena.activations(1, TOKENS, WIDTH)[0]
    heads = arena.activations(1, HEADS, TOKENS, WIDTH // HEADS)[0]
    weight, bias = arena.weights(WIDTH, WIDTH)[0], arena.activations(WIDTH)[0]
    picture, window = arena.activations(1, 16, 8, 8)[0], arena.weights(16, 16, 3, 3)[0]
    operations = [
        Operation(aten.layer_norm.default, (data, [WIDTH], bias, bias)),
        Operation(aten.linear.default, (data, weight, bias)),
        Operation(aten.view.default, (data, [1, TOKENS, HEADS, WIDTH // HEADS])),
        Operation(aten.transpose.int, (heads, 1, 2)),
        Operation(aten.scaled_dot_product_attention.default, (heads, heads, heads)),
        Operation(aten.reshape.default, (heads.transpose(1, 2), [1, TOKENS, WIDTH])),
        Operation(aten.add.Tensor, (data, data)),
        Operation(aten.gelu.default, (data,)),
        Operation(aten.mul.Tensor, (data, data)),
        Operation(aten.slice.Tensor, (data, 1, 0, 4)),
        Operation(aten.cat.default, ([data, data], 1)),
        Operation(aten.group_norm.default, (picture, 4)),
        Operation(aten.silu.default, (picture,)),
        Operation(aten.conv2d.default, (picture, window), {"padding": [1, 1]}),
        Operation(aten.permute.default, (picture, [0, 2, 3, 1])),
    ]
    calls, free = calls_of(operations, arena)
    runs = [call.run for call in calls]

    def run() -> None:
        for call in runs:
            call()
        free()

    return run
