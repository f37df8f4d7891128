"""Whether a call is a function of its arguments: the same every time, and nothing else happens."""

from __future__ import annotations

import torch

from graphlab.rewriting.functional import writes

_KNOWN = ("aten", "prims", "graphlab")
"""Namespaces whose operators say in their tags whether they are random; a stranger's operator may say nothing."""


def impurity(node: torch.fx.Node) -> str:
    """Why another call with the arguments of `node` may give something else or matter by itself; "" if it may not."""
    target = node.target
    if node.op != "call_function":
        return "it is no call"
    if not isinstance(target, torch._ops.OpOverload):
        home, name = getattr(target, "__module__", ""), getattr(target, "__name__", "")
        plain = home in ("_operator", "math") or (home == "torch" and name.lstrip("_").startswith("sym_"))
        return "" if plain else "it calls a region of the program"
    if writes(node):
        return "it writes into an argument"
    if torch.Tag.nondeterministic_seeded in target.tags or _drops(node, target):
        return "it draws random numbers"
    if target.namespace not in _KNOWN:
        return f"nothing says that operators of {target.namespace} are not random"
    if target._schema.name.startswith("aten::empty") or "new_empty" in target._schema.name:
        return "its values are undefined"
    return "" if target._schema.returns else "it is an assertion"


def _drops(node: torch.fx.Node, target: torch._ops.OpOverload) -> bool:
    """Whether an argument called dropout (of attention, of a recurrent layer) is not 0."""
    given = dict(zip((argument.name for argument in target._schema.arguments), node.args, strict=False)) | node.kwargs
    rates = [value for name, value in given.items() if name.startswith("dropout")]
    return given.get("train") is not False and any(isinstance(rate, torch.fx.Node) or bool(rate) for rate in rates)
