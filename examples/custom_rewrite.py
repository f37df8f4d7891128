"""A rewrite of your own: a scale behind a linear layer goes into its weights, where nothing is rounded by that.

    python examples/custom_rewrite.py
    graphlab rewrite examples/custom_rewrite.py:scaled --pass examples/custom_rewrite.py:FoldScale --verify

The base class copies the graph, checks shapes and dtypes, and keeps the account; the pass says what it saw. Given
`verify`, both programs run in float64 on weights that are drawn, and the new ones made of them by `make`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

import graphlab
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Peephole

aten = torch.ops.aten
Node = torch.fx.Node


@dataclass(frozen=True)
class FoldScale(Peephole):
    """Multiplies the weights of a linear layer by the power of two that its result is multiplied by.

    Before: `y = linear(x, w, b) * 0.125`. After: `y = linear(x, w', b')` with w' = 0.125 w and b' = 0.125 b.
    """

    name: ClassVar[str] = "fold-scale"
    targets: ClassVar[tuple[Any, ...]] = (aten.mul.Tensor,)
    why: ClassVar[str] = "a scale behind a linear layer"

    def replace(self, node: Node, draft: Draft) -> Node | str | None:
        """The layer with scaled weights in place of its product with a number; a text is why it stays."""
        linear, scale = node.args
        if not isinstance(linear, Node) or linear.target is not aten.linear.default or isinstance(scale, Node):
            return None  # no candidate: nothing to report
        if math.frexp(scale)[0] not in (0.5, -0.5):
            return f"a scale of {scale} is no power of two: it would round every weight"
        if len(linear.users) > 1:
            return "the layer is read elsewhere, without the scale"
        keys = [draft.fixed_key(weight) for weight in linear.args[1:] if isinstance(weight, Node)]
        if None in keys:
            return "a weight is computed in every call, or written"
        new = [
            draft.add_weight(draft.free_key(f"{key}_scaled"), [key], lambda made, key=key: made[key] * scale)
            for key in keys
        ]
        return draft.call(aten.linear.default, linear.args[0], *new, at=node)


class Scaled(nn.Module):
    """x (batch, tokens, 8) to three results: two of the layers may take their scale in, one must not."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.query(x) * 0.125, self.key(x) * -2.0, self.value(x) * 0.3


def scaled() -> tuple[nn.Module, tuple[torch.Tensor, ...], None]:
    """The module and one call of it, as a source: examples/custom_rewrite.py:scaled."""
    return Scaled().eval(), (torch.randn(2, 5, 8),), None


def main() -> None:
    """What was folded, what stayed and why, and that both programs compute the same."""
    module, args, _ = scaled()
    result = graphlab.run_pass(FoldScale(), graphlab.capture(module, args), verify=True)
    for change in result.changes:
        print(f"{change.pass_name}: {change.why} ({change.source})")
    for skip in result.skips:
        print(f"{skip.pass_name} left {skip.node}: {skip.why}")
    for made in result.held:
        print(f"new: {made.key}, {made.nbytes} bytes, of {' and '.join(made.origins)}")
    found = result.verification
    print(f"equal at {len(found.bindings)} sizes, largest error in float64: {found.worst_float64}")
    print(f"a second run changes nothing: {not graphlab.run_pass(FoldScale(), result.program).modified}")


if __name__ == "__main__":
    main()
