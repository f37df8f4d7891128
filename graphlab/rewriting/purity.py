"""Whether a call is a function of its arguments: the same every time, and nothing else happens."""

from __future__ import annotations

import torch

from graphlab.rewriting.functional import writes

_KNOWN = ("aten", "prims", "graphlab")
"""Namespaces whose operators say in their tags whether they are random; a stranger's operator may say nothing."""

_UNDEFINED, _REGION = "its values are undefined", "it calls a region of the program"


def impurity(node: torch.fx.Node) -> str:
    """Why another call with the arguments of `node` may give something else or matter by itself; "" if it may not."""
    target = node.target
    if node.op != "call_function":
        return "it is no call"
    if not isinstance(target, torch._ops.OpOverload):
        home, name = getattr(target, "__module__", ""), getattr(target, "__name__", "")
        plain = home in ("_operator", "math") or (home == "torch" and name.lstrip("_").startswith("sym_"))
        return "" if plain else _REGION
    if writes(node):
        return "it writes into an argument"
    if _drops(node, target):
        return "it draws random numbers"
    if target.namespace not in _KNOWN:
        return f"nothing says that operators of {target.namespace} are not random"
    if target._schema.name.startswith("aten::empty") or "new_empty" in target._schema.name:
        return _UNDEFINED
    return "" if target._schema.returns else "it is an assertion"


def removable(node: torch.fx.Node) -> bool:
    """Whether `node` may go once nobody reads it: it asserts nothing, writes nothing and draws no random numbers.

    torch's own `is_impure` counts attention as random, for the dropout it could have.
    """
    if node.op != "call_function":
        return node.op == "get_attr"
    return impurity(node) in ("", _UNDEFINED, _REGION)


def _drops(node: torch.fx.Node, target: torch._ops.OpOverload) -> bool:
    """Whether random numbers are drawn: by the operator's tag, unless it only drops and its rate is 0 or off."""
    names = [argument.name for argument in target._schema.arguments]
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    rates = [name for name in names if name.startswith("dropout") or (name == "p" and "dropout" in target._schema.name)]
    if not rates:
        return torch.Tag.nondeterministic_seeded in target.tags
    if given.get("train") is False:
        return False
    return any(isinstance(given.get(name), torch.fx.Node) or bool(given.get(name)) for name in rates)
