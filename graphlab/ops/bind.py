"""A call's arguments by schema name: rule bodies are parameterised like the ATen schema, so they know the names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from graphlab.graph import Node
from graphlab.ops.rule import OpRule


@lru_cache(maxsize=4096)
def _parameters(body: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    return tuple(p for name, p in inspect.signature(body).parameters.items() if name != "out")


def bind(rule: OpRule, node: Node) -> dict[str, Any]:
    """{schema name: argument of `node`}, defaults filled in."""
    parameters = _parameters(rule.body)
    names = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL]
    bound = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    bound.update(zip(names, node.args, strict=False))
    bound.update(node.kwargs)
    return bound
