"""Causality by computing the mask: which queries may look at which keys, at the sizes of the example."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graphlab.flow import written_into
from graphlab.graph import Graph, Node
from graphlab.ops.rule import resolve

if TYPE_CHECKING:
    import torch

LIMIT = 2**24
"""Elements of the largest mask that is computed; a larger one is unknown."""
BLOCKED = -5000.0
"""An additive mask below this blocks: in use are -inf, the least number of a dtype, and -10000."""


def is_causal(graph: Graph, result: str, *, scores: str | None = None) -> bool | None:
    """Whether the mask `result`, or the masked scores `result` made from the raw ones `scores`, is causal.

    True when no query may look at a later key; False when every query may look at all later ones; None when
    some may, when the values come from outside the graph, or when the mask is too large to compute. Masks
    that are inputs are taken to be ones (no padding), learned biases to be zero; a mask that is only causal
    because of an input stays unknown.
    """
    spec = graph.by_name[result].out
    if len(spec.shape) < 2 or spec.numel > LIMIT:
        return None
    cone = _cone(graph, result, scores)
    if any(node.kind in ("buffer", "constant") for node in cone) or any(_size(node) > LIMIT for node in cone):
        return None
    value = _compute(cone, result, scores)
    if value is None:
        return None
    found = _triangle(value)
    seen = any(node.kind == "input" for node in cone)
    return found if found or not seen else None


def _size(node: Node) -> int:
    return max((spec.numel for spec in node.outputs if spec is not None), default=0)


def _cone(graph: Graph, result: str, scores: str | None) -> list[Node]:
    """What `result` is computed from, in order, writes into it included; `scores` is taken as given."""
    wanted: set[str] = set()
    pending = [result]
    writers: dict[str, list[str]] = {}
    for node in graph.calls:
        base = written_into(graph, node)
        if base is not None:
            writers.setdefault(base, []).append(node.name)
    while pending:
        name = pending.pop()
        if name in wanted:
            continue
        wanted.add(name)
        pending.extend(writers.get(name, ()))
        if name != scores:
            pending.extend(graph.by_name[name].refs)
    return [node for node in graph.nodes if node.name in wanted]


def _compute(cone: Iterable[Node], result: str, scores: str | None) -> torch.Tensor | None:
    import torch

    values: dict[str, Any] = {}
    try:
        with torch.no_grad():
            for node in cone:
                values[node.name] = _value(node, values, given=node.name == scores)
    except Exception:  # an operator that cannot run on these stand-ins leaves the mask unknown
        return None
    value = values[result]
    return value if isinstance(value, torch.Tensor) else None


def _value(node: Node, values: Mapping[str, Any], *, given: bool) -> Any:
    import torch

    if given:
        return torch.zeros(node.out.shape, dtype=torch.float32)
    if node.kind == "input":
        return torch.ones(node.out.shape, dtype=getattr(torch, node.out.dtype))
    if node.kind != "call":
        return torch.zeros(node.out.shape, dtype=getattr(torch, node.out.dtype))
    args = [_constant(arg) for arg in resolve(node.args, values.__getitem__)]
    kwargs = {key: _constant(resolve(value, values.__getitem__)) for key, value in node.kwargs}
    if node.target == "getitem":
        return operator.getitem(*args)
    namespace, name, overload = node.target.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), name), overload)(*args, **kwargs)


def _constant(value: Any) -> Any:
    """An argument as torch takes it: dtypes and layouts by name, every device the CPU."""
    import torch

    if isinstance(value, tuple):
        return [_constant(item) for item in value]
    if isinstance(value, str):
        if value.startswith("torch."):
            return getattr(torch, value.removeprefix("torch."))
        if value.split(":")[0] in ("meta", "cpu", "cuda"):
            return torch.device("cpu")
    return value


def _triangle(mask: torch.Tensor) -> bool | None:
    """True: nothing later is allowed; False: everything later is; None: some of it."""
    import torch

    allowed = mask if mask.dtype is torch.bool else mask.float() >= BLOCKED
    rows, columns = allowed.shape[-2:]
    later = torch.ones(rows, columns, dtype=torch.bool).triu(columns - rows + 1)
    if not later.any():
        return False
    ahead = allowed[..., later]
    if not ahead.any():
        return True
    return False if ahead.all() else None
