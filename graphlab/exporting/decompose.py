"""One operator as the operators it is made of, written into a draft."""

from __future__ import annotations

from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree

from graphlab.exporting.torchlib import decompositions
from graphlab.rewriting import fake
from graphlab.rewriting.draft import Draft


def spell_out(node: torch.fx.Node, draft: Draft) -> bool:
    """Replaces `node` by its decomposition; False where torch has none, or it leads to the operator itself."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    traced = _traced(node, draft)
    if traced is None or any(item.target is node.target for item in traced.graph.nodes):
        return False
    inputs = node.all_input_nodes
    known: dict[torch.fx.Node, Any] = dict(zip(traced.graph.find_nodes(op="placeholder"), inputs, strict=True))
    for item in traced.graph.nodes:
        if item.op == "call_function":
            args, kwargs = torch.fx.map_arg((item.args, item.kwargs), lambda n: known[n])
            if isinstance(item.target, type) and issubclass(item.target, tuple):  # a named tuple of what there is
                known[item] = tuple(args)
                continue
            known[item] = draft.call(item.target, *args, at=node, value=item.meta.get("val"), **kwargs)
        elif item.op not in ("placeholder", "output"):
            return False  # a constant the decomposition made: none does
    results = _pytree.tree_map(lambda r: known.get(r, r), traced.graph.output_node().args[0])
    _hand_over(node, results, draft)
    return True


def _traced(node: torch.fx.Node, draft: Draft) -> torch.fx.GraphModule | None:
    """The decomposition of `node` as a graph over its input nodes; None where there is none."""
    target: Any = node.target
    function = decompositions().get(target)
    composite = function is None and target._can_decompose()
    if function is None and not composite:
        return None
    inputs = node.all_input_nodes

    def run(*values: Any) -> Any:
        given = dict(zip(inputs, values, strict=True))
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda n: given[n])
        return function(*args, **kwargs) if function is not None else target.decompose(*args, **kwargs)

    with fake.quietly(draft.mode):
        return make_fx(run)(*(item.meta["val"] for item in inputs))


def _hand_over(node: torch.fx.Node, results: Any, draft: Draft) -> None:
    why = f"{node.target} is these operators"
    if not isinstance(results, (tuple, list)):
        draft.replace(node, results, why)
        return
    readers = {user: results[int(str(user.args[1]))] for user in node.users}
    if readers:
        draft.replace_all(readers, why)
    draft.erase_dead(node)
