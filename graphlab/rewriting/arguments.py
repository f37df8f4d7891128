"""The arguments of a call by the names of its operator's schema."""

from __future__ import annotations

from typing import Any

import torch


def arguments(node: torch.fx.Node) -> dict[str, Any]:
    """{name: argument} of a call of an ATen operator, in the schema's order, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload), node.target
    found: dict[str, Any] = {}
    for index, argument in enumerate(node.target._schema.arguments):
        if index < len(node.args):
            found[argument.name] = node.args[index]
        elif argument.name in node.kwargs:
            found[argument.name] = node.kwargs[argument.name]
        else:
            found[argument.name] = argument.default_value
    return found
