"""What every pass has to leave behind: a sound graph with the inputs and results it found, which writes nowhere."""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch

from graphlab.errors import GraphlabError
from graphlab.rewriting.functional import writes

Node = torch.fx.Node


def check_graph(
    who: str,
    before: torch.fx.Graph,
    after: torch.fx.Graph,
    is_weight: Callable[[Node], bool],
    same: Callable[[Node, Node], None],
) -> None:
    """GraphlabError, naming the pass `who`, when `after`, an edit of `before`, is broken or has another signature.

    `is_weight` tells placeholders of weights from inputs, which stay as they are and where they are; `same` raises
    for two results of another shape or dtype.
    """
    try:
        after.lint()
    except Exception as error:  # torch raises RuntimeError and ValueError with the node's name
        said = str(error).partition("\n")[0]  # torch adds the whole graph
        raise GraphlabError(f"{who} left a broken graph: {said[:300]}") from error
    known = {node.name for node in before.nodes}
    for node in after.nodes:
        if writes(node):
            raise GraphlabError(f"{who} made {node.name}, which writes in place")
        if node.name not in known:
            _check_new(who, node)
    found = [node.name for node in after.find_nodes(op="placeholder") if not is_weight(node)]
    kept = set(found)
    expected = [node.name for node in before.find_nodes(op="placeholder") if not is_weight(node)]
    if found != expected:
        gone = [name for name in expected if name not in kept] or expected
        raise GraphlabError(f"{who} changed the inputs: {', '.join(gone)}")
    _check_results(who, before.output_node().args[0], after.output_node().args[0], same)


def _check_new(who: str, node: Node) -> None:
    """A new node calls an operator, or works on sizes, and says what it makes."""
    if node.op in ("call_method", "call_module"):
        what = node.op.removeprefix("call_")
        raise GraphlabError(f"{who} made {node.name}, a call of a {what}", hint="a program calls operators alone")
    if node.op != "call_function":
        return
    if node.users and "val" not in node.meta:
        raise GraphlabError(f"{who} made {node.name} without saying what it makes", hint="`draft.call` works it out")
    operators = (torch._ops.OpOverload, torch._ops.HigherOrderOperator)
    if isinstance(node.meta.get("val"), torch.Tensor) and not (
        isinstance(node.target, operators) or node.target is operator.getitem
    ):
        what = getattr(node.target, "__name__", str(node.target))
        raise GraphlabError(f"{who} made {node.name}, a call of {what}", hint="a program calls operators: torch.ops...")


def _check_results(who: str, before: object, after: object, same: Callable[[Node, Node], None]) -> None:
    assert isinstance(before, (tuple, list))
    if not isinstance(after, (tuple, list)) or len(before) != len(after):
        raise GraphlabError(f"{who} changed the number of results")
    for old, new in zip(before, after, strict=True):
        if isinstance(old, Node) and isinstance(new, Node):
            same(old, new)
        elif old != new:
            raise GraphlabError(f"{who} changed the result {old} to {new}")
