"""drop-double-relu: a relu of a relu is that relu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Peephole

aten = torch.ops.aten


@dataclass(frozen=True)
class DropDoubleRelu(Peephole):
    """Takes out a relu whose input is a relu.

    Before: `a = relu(x); b = relu(a); return b + 1`. After: `a = relu(x); return a + 1`.
    """

    name: ClassVar[str] = "drop-double-relu"
    targets: ClassVar = (aten.relu.default,)
    why: ClassVar[str] = "a relu changes nothing in what a relu returns"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        """The inner relu."""
        inner = node.args[0]
        if not isinstance(inner, torch.fx.Node) or inner.op != "call_function":
            return None
        if inner.target is not aten.relu.default:
            return f"it reads {inner.name}, which is no relu"
        return inner
