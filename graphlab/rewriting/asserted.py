"""Assertions about values that a rewrite takes out: they would keep them alive."""

from __future__ import annotations

import torch

from graphlab.rewriting.attention.uses import is_assertion
from graphlab.rewriting.draft import Draft


def drop_assertions(draft: Draft, end: torch.fx.Node) -> None:
    """Takes out the assertions about values that nothing but `end` is computed of, which is about to be replaced."""
    gone, pending = {end}, [end]
    while pending:
        for source in pending.pop().all_input_nodes:
            only = source.op == "call_function" and all(user in gone or is_assertion(user) for user in source.users)
            if only and source not in gone:
                gone.add(source)
                pending.append(source)
    for node in gone - {end}:
        for user in list(node.users):
            if is_assertion(user):
                draft.graph.erase_node(user)
