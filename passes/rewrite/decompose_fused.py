"""decompose-fused: every `graphlab::` operator becomes the ATen calls it stands for."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from graphlab.fused import FUSED
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class DecomposeFused(Rewrite):
    """graphlab's fused operators as ATen calls: the inverse of the fuse passes, for what does not know `graphlab::`.

    Before: `geglu = graphlab.geglu(x, 'none', False)`
    After:  `chunk = aten.chunk(x, 2, -1); gelu = aten.gelu(chunk[1]); mul = aten.mul(chunk[0], gelu)`

    The values are those of the fused operator to the bit: it runs the same calls.
    """

    name: ClassVar[str] = "decompose-fused"

    def apply(self, draft: Draft) -> None:
        """Spells out every call of an operator in `graphlab.fused.FUSED`."""
        for node in draft.calls(*FUSED):
            _spell_out(node, draft)


def _spell_out(node: torch.fx.Node, draft: Draft) -> None:
    assert isinstance(node.target, torch._ops.OpOverload)
    fused = FUSED[node.target]
    why = f"{fused.name} is these ATen calls"
    readers = [user for user in node.users if user.target is operator.getitem]
    several = len(node.target._schema.returns) > 1
    if not node.users or (several and not readers):
        draft.erased([node], "nothing reads it")
        return
    made = fused.decompose(partial(draft.call, at=node), *node.args, **node.kwargs)
    if not several:
        draft.replace(node, made, why)
        return
    draft.replace_all({reader: made[reader.args[1]] for reader in readers}, why)
    for value in made:
        draft.erase_dead(value)
