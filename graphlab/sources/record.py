"""`Graph` to JSON and back, without loss: what the disk cache holds. Repeated values are stored once."""

from __future__ import annotations

from typing import Any

from graphlab.graph import Graph, Node, Ref, Size, TensorSpec


class _Table:
    """Values seen so far and their indices: module stacks and shapes repeat by the hundred."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.index: dict[Any, int] = {}

    def add(self, value: Any, row: Any) -> int:
        if value not in self.index:
            self.index[value] = len(self.rows)
            self.rows.append(row)
        return self.index[value]


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """A JSON-ready dict of `graph`."""
    specs, stacks = _Table(), _Table()
    nodes = []
    for node in graph.nodes:
        outputs = [None if s is None else specs.add(s, [list(s.shape), list(s.stride), s.dtype]) for s in node.outputs]
        stack = stacks.add(node.modules, [list(pair) for pair in node.modules])
        kwargs = [[key, _pack(value)] for key, value in node.kwargs]
        nodes.append([node.name, node.kind, node.target, _pack(node.args), kwargs, outputs, stack, node.source])
    return {
        "nodes": nodes,
        "specs": specs.rows,
        "stacks": stacks.rows,
        "results": list(graph.results),
        "symbols": dict(graph.symbols),
        "guards": list(graph.guards),
        "ranges": {symbol: list(bounds) for symbol, bounds in graph.ranges.items()},
    }


def graph_from_json(record: dict[str, Any]) -> Graph:
    """The Graph `graph_to_json` wrote."""
    specs = [TensorSpec(tuple(shape), tuple(stride), dtype) for shape, stride, dtype in record["specs"]]
    stacks = [tuple((path, kind) for path, kind in stack) for stack in record["stacks"]]
    nodes = tuple(
        Node(
            name=name,
            kind=kind,
            target=target,
            args=_unpack(args),
            kwargs=tuple((key, _unpack(value)) for key, value in kwargs),
            outputs=tuple(None if i is None else specs[i] for i in outputs),
            modules=stacks[stack],
            source=source,
        )
        for name, kind, target, args, kwargs, outputs, stack, source in record["nodes"]
    )
    ranges = {symbol: (low, high) for symbol, (low, high) in record["ranges"].items()}
    return Graph(nodes, tuple(record["results"]), record["symbols"], tuple(record["guards"]), ranges)


def _pack(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, Size):
        return {"size": value.text}
    if isinstance(value, tuple):
        return [_pack(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"float": str(value)}
    return value


def _unpack(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unpack(item) for item in value)
    if isinstance(value, dict):
        if "ref" in value:
            return Ref(value["ref"])
        if "size" in value:
            return Size(value["size"])
        return float(value["float"])
    return value
