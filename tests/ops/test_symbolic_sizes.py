"""Rules take sympy sizes: every call of a few models, with each size a symbol, evaluates to the integer answer."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import sympy

from graphlab.graph import Node, TensorSpec
from graphlab.ops import TABLE
from graphlab.ops.traffic import traffic
from tests.ops.test_coverage import exported, extract, resolved


@cache
def symbol(size: int) -> sympy.Symbol:
    return sympy.Symbol(f"n{size}", integer=True, positive=True)


def symbolic(value: Any) -> Any:
    """`value` with every size of a tensor above 1 replaced by a symbol of its own."""
    if isinstance(value, TensorSpec):
        shape = tuple(symbol(size) if size > 1 else size for size in value.shape)
        return TensorSpec(shape, value.stride, value.dtype)
    if isinstance(value, tuple):
        return tuple(symbolic(item) for item in value)
    return value


def evaluated(value: Any) -> int:
    if not isinstance(value, sympy.Expr):
        return int(value)
    return int(value.subs({s: int(s.name[1:]) for s in value.free_symbols}))


def check(node: Node, args: Any, kwargs: dict[str, Any], out: Any) -> None:
    rule = TABLE[node.target]
    wanted = rule.body(*args, out=out, **kwargs)
    given, named, result = symbolic(args), {key: symbolic(value) for key, value in kwargs.items()}, symbolic(out)
    found = rule.body(*given, out=result, **named)
    assert tuple(map(evaluated, found)) == tuple(wanted), node
    if rule.moves == "compute":
        moved = traffic(rule, given, named, result, node.refs)
        assert tuple(map(evaluated, moved)) == traffic(rule, args, kwargs, out, node.refs), node


@pytest.mark.parametrize("name", ["sd15_eager", "flux", "t5_encoder", "dit", "llama_decode", "sana"])
def test_rules_never_branch_on_a_size(name: str) -> None:
    graph = extract(exported(name)[0])
    for node in graph.calls:
        check(node, *resolved(graph, node))
