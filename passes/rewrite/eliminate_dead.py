"""eliminate-dead: values nobody reads."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import ClassVar

from graphlab.rewriting.draft import Draft
from graphlab.rewriting.purity import removable
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class EliminateDead(Rewrite):
    """Takes out what does not reach a result.

    Before: `y = relu(x); z = x * 2; return z`. After: `z = x * 2; return z`. Assertions about sizes and dtypes, which
    have no result, stay: they are what the program was exported under.
    """

    name: ClassVar[str] = "eliminate-dead"

    def apply(self, draft: Draft) -> None:
        """Erases unread calls, last first, so that what only they read goes with them."""
        for node in reversed(list(draft.calls())):
            unread = not node._erased and not node.users and removable(node)
            if unread and node.target is operator.getitem and len(node.all_input_nodes[0].users) > 1:
                draft.graph.erase_node(node)  # no call: a file holds one for every result of an operator, read or not
            elif unread and node.meta.get("val") is not None:
                draft.erased([node], "nobody reads it")
