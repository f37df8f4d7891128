"""Attention written out: product of queries and keys, softmax, product with values."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.flow import category, is_product
from graphlab.graph import Graph, Node
from graphlab.ops import rule_for
from graphlab.ops.bind import bind

_BETWEEN = ("elementwise", "movement", "activation")
_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Match:
    """The nodes of one spelled-out attention. `q_dim` and `k_dim` index the softmax's output, from the right."""

    softmax: str
    scores: str
    output: str
    members: tuple[str, ...]
    score_members: tuple[str, ...]
    query: str
    key: str
    value: str
    mask: str | None
    q_dim: int
    k_dim: int


def match(graph: Graph, softmax: Node, weights: frozenset[str]) -> Match | None:
    """The attention around `softmax`, or None when its scores or its use are not products of activations."""
    rule = rule_for(softmax.target)
    if rule is None or not softmax.refs:
        return None
    rank = len(softmax.out.shape)
    dim = bind(rule, softmax).get("dim", -1)
    if not isinstance(dim, int) or rank < 2:
        return None
    back = _back(graph, softmax.refs[0], softmax.out.numel, weights, _DEPTH)
    forward = _forward(graph, softmax, dim % rank - rank, weights)
    if back is None or forward is None:
        return None
    scores, after = back[0], [softmax.name, *forward]
    output = graph.by_name[after[-1]]
    members = [*back, *after]
    left, right = _operands(graph.by_name[scores])
    operands = _operands(output)
    value = operands[1] if operands[0] in members else operands[0]
    k_dim = dim % rank - rank
    size = softmax.out.numel
    return Match(
        softmax=softmax.name,
        scores=scores,
        output=output.name,
        members=tuple(sorted(members, key=_order(graph).__getitem__)),
        score_members=tuple(m for m in members if m != output.name and graph.by_name[m].out.numel == size),
        query=left,
        key=right,
        value=value,
        mask=_mask(graph, back, set(members)),
        q_dim=-2 if k_dim == -1 else -1,
        k_dim=k_dim,
    )


def _order(graph: Graph) -> dict[str, int]:
    return {node.name: index for index, node in enumerate(graph.nodes)}


def _back(graph: Graph, name: str, size: int, weights: frozenset[str], depth: int) -> list[str] | None:
    """Nodes from the score product to `name`, in order; None when no product of activations is behind it."""
    node = graph.by_name[name]
    if depth == 0 or node.kind != "call" or node.out.numel != size:
        return None
    if is_product(node, weights):
        return [name]
    if category(node) not in _BETWEEN:
        return None
    for ref in node.refs:
        found = _back(graph, ref, size, weights, depth - 1)
        if found is not None:
            return [*found, name]
    return None


def _forward(graph: Graph, softmax: Node, dim: int, weights: frozenset[str]) -> list[str] | None:
    """Nodes after the softmax up to the product that contracts the softmax's axis; None when there is none."""
    node = softmax
    path: list[str] = []
    for _ in range(_DEPTH):
        users = graph.users[node.name]
        product = next((u for u in users if is_product(u, weights) and _contracts(u, node.name, dim)), None)
        if product is not None:
            return [*path, product.name]
        step = next((u for u in users if category(u) in _BETWEEN and u.out.numel == softmax.out.numel), None)
        if step is None:
            return None
        dim = _moved(step, dim, len(node.out.shape))
        node = step
        path.append(node.name)
    return None


def _moved(node: Node, dim: int, rank: int) -> int:
    """Where the axis `dim` (from the right) is after `node`."""
    rule = rule_for(node.target)
    if rule is None or rule.axes != "permute":
        return dim
    name = node.target.split(".")[1]
    if name == "permute":
        order = [int(d) % rank for d in node.args[1]]
        return order.index(dim % rank) - rank
    if name == "transpose":
        a, b = int(node.args[1]) % rank, int(node.args[2]) % rank
        position = dim % rank
        return (b if position == a else a if position == b else position) - rank
    return -1 if dim == -2 else -2 if dim == -1 else dim


def _contracts(node: Node, operand: str, dim: int) -> bool:
    """Whether `node` sums over axis `dim` (from the right) of its operand `operand`."""
    if "einsum" in node.target:
        left, right = str(node.args[0]).replace(" ", "").split("->")
        names = list(node.refs)
        letters = left.split(",")[names.index(operand)]
        return letters[dim] not in right
    first, _ = _operands(node)
    return dim == (-1 if operand == first else -2)


def _operands(node: Node) -> tuple[str, str]:
    """The two factors of a product; baddbmm's and addmm's addend comes before them."""
    refs = node.refs
    return refs[-2], refs[-1]


def _mask(graph: Graph, path: list[str], members: set[str]) -> str | None:
    """The tensor that the scores are added to or selected by, or None; scalars scale and are no mask."""
    product = graph.by_name[path[0]]
    if "baddbmm" in product.target and dict(product.kwargs).get("beta", 1) != 0:
        return product.refs[0]
    for name in path[1:]:
        node = graph.by_name[name]
        short = node.target.split(".")[1].rstrip("_")
        if short not in ("add", "sub", "where", "masked_fill"):
            continue
        for ref in node.refs:
            if ref not in members and graph.by_name[ref].out.numel != 1:
                return ref
    return None
