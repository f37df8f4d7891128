"""What numbers a value may hold, read off the graph: rows of tables, statistics, weights of contractions."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.graph import Graph, Node, Ref
from graphlab.ops.rule import rule_for

_MOVES = ("view", "reshape", "identity", "cast", "contiguous")


def index_range(graph: Graph, name: str) -> tuple[int, int] | None:
    """(least, most + 1) of the integers that the value `name` may hold; None where it indexes nothing.

    `graph` has integer sizes. Followed through integer-valued nodes to every table they index (embedding, gather,
    index). Where arithmetic lies between, the middle half of the table is taken: an offset then stays inside.
    """
    rows: list[int] = []
    shifted = False
    pending, seen = [(name, False)], {name}
    while pending:
        current, moved = pending.pop()
        for node in graph.users.get(current, ()):
            found = _rows(graph, node, current)
            if found is not None:
                rows.append(found)
                shifted = shifted or moved
            elif node.name not in seen and _integer(node):
                seen.add(node.name)
                rule = rule_for(node.target)
                pending.append((node.name, moved or rule is None or rule.moves not in _MOVES))
    if not rows:
        return None
    least = min(rows)
    if shifted and least >= 4:
        return least // 4, least - least // 4
    return 0, max(least, 1)


def _integer(node: Node) -> bool:
    return all(spec is not None and "int" in spec.dtype for spec in node.outputs)


def _rows(graph: Graph, node: Node, name: str) -> int | None:
    """Rows of the table that `node` reads at the indices `name`; None when they are no indices there."""
    op = node.target.split(".")[1] if node.target.count(".") >= 1 else node.target
    args = node.args
    if op == "embedding" and args[1] == Ref(name):
        return int(graph.by_name[args[0].name].out.shape[0])
    if op in ("index", "_unsafe_index", "index_put", "index_put_") and isinstance(args[1], tuple):
        places = [place for place, item in enumerate(args[1]) if item == Ref(name)]
        return int(graph.by_name[args[0].name].out.shape[places[0]]) if places else None
    if op in ("gather", "index_select", "scatter", "scatter_", "scatter_add", "index_copy", "index_add"):
        shape = graph.by_name[args[0].name].out.shape
        return int(shape[args[1]]) if args[2] == Ref(name) and shape else None
    if op == "one_hot" and args[0] == Ref(name) and len(args) > 1 and isinstance(args[1], int) and args[1] > 0:
        return int(args[1])
    return None


def statistics(graph: Graph) -> dict[str, str]:
    """{key: "mean" or "variance"} of the running statistics that batch normalisations read."""
    found: dict[str, str] = {}
    for node in graph.calls:
        if "batch_norm" not in node.target:
            continue
        for place, role in ((3, "mean"), (4, "variance")):
            ref = node.args[place] if len(node.args) > place else None
            if isinstance(ref, Ref) and graph.by_name[ref.name].kind != "call":
                found[graph.by_name[ref.name].target] = role
    return found


def contracted(graph: Graph) -> set[str]:
    """Keys of the weights that a linear layer, matrix product or convolution multiplies by."""
    weights = [node for node in graph.nodes if node.kind in ("parameter", "buffer", "constant", "tied")]
    return {node.target for node in weights if any(_contracts(graph, node.name))}


def _contracts(graph: Graph, name: str) -> Iterator[bool]:
    for node in graph.users.get(name, ()):
        rule = rule_for(node.target)
        if rule is not None and rule.category in ("linear", "matmul", "convolution"):
            yield len(node.outputs) == 1 and len(_shape(graph, name)) >= 2
        elif rule is not None and rule.moves in _MOVES:
            yield from _contracts(graph, node.name)


def _shape(graph: Graph, name: str) -> tuple[object, ...]:
    return tuple(graph.by_name[name].out.shape)
