"""A stage's graph and report to a `DrawnStage`: calls, inputs and outputs are nodes, weights are said of readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from graphlab.facts import PlacedWeight
from graphlab.flow import WEIGHT_KINDS, from_weights
from graphlab.graph import Graph, Node, TensorSpec
from graphlab.report.data import NodeRow, StageReport
from graphlab.viewers.data import DrawnEdge, DrawnNode, DrawnStage, DrawnTensor
from graphlab.viewers.paths import critical_path, dominators


def drawn_stage(
    report: StageReport,
    graph: Graph,
    symbolic: Graph,
    masks: Mapping[str, Mapping[str, PlacedWeight]] | None = None,
) -> DrawnStage:
    """Every call of `graph` as a node, costs from `report`; `symbolic` is the graph before sizes were filled in.

    `masks` are {name: {weight's key: its place}}. Critical path and dominators are worked out here, on all calls.
    """
    nodes, edges = _Builder(report, graph, symbolic).built()
    path, chain = critical_path(nodes, edges)
    places, steps = set(chain), set(pairwise(chain))
    last = dominators(nodes, edges)
    estimate = report.estimate
    return DrawnStage(
        name=report.name,
        nodes=tuple(replace(n, on_critical_path=i in places, dominator=last[i]) for i, n in enumerate(nodes)),
        edges=tuple(replace(e, on_critical_path=(e.producer, e.consumer) in steps) for e in edges),
        calls=len(report.nodes),
        steps=report.steps,
        calls_per_step=report.calls_per_step,
        dtype=report.dtype,
        path=path,
        flops_total=report.flops_total,
        bytes_total=report.bytes_total.materialized,
        seconds_total=estimate.seconds_total if estimate is not None else None,
        unknown=report.unknown_nodes,
        masks=masks or {},
        notes=report.notes,
    )


class _Builder:
    """Walks the nodes in order; a name that is used again means its last bearer from there on."""

    def __init__(self, report: StageReport, graph: Graph, symbolic: Graph) -> None:
        self.graph = graph
        self.rows = iter(report.nodes)
        self.symbolic = [node.outputs for node in symbolic.nodes] if symbolic.symbols else None
        self.fixed = from_weights(graph)
        self.nodes: list[DrawnNode] = []
        self.edges: list[DrawnEdge] = []
        self.place: dict[str, int] = {}
        self.keys: dict[str, tuple[str, ...]] = {}

    def built(self) -> tuple[list[DrawnNode], list[DrawnEdge]]:
        """The nodes and edges: inputs and calls in the order of the graph, outputs last."""
        for index, node in enumerate(self.graph.nodes):
            if node.kind in WEIGHT_KINDS:
                self.keys[node.name] = (node.target,)
                continue
            self._join(node.refs, len(self.nodes))
            self.place[node.name] = len(self.nodes)
            outputs = tuple(self._outputs(index, node))
            self.nodes.append(self._call(node, outputs) if node.kind == "call" else _input(node, outputs))
        results = [self.graph.by_name.get(name) for name in self.graph.results]
        for number, made in enumerate(results):
            self._join((made.name,) if made is not None else (), len(self.nodes))
            tensors = tuple(_tensor(out, None) for out in made.outputs[:1] if out) if made is not None else ()
            self.nodes.append(DrawnNode(f"output_{number}", "output", outputs=tensors))
        return self.nodes, self.edges

    def _join(self, refs: tuple[str, ...], consumer: int) -> None:
        producers = dict.fromkeys(self.place[name] for name in refs if name in self.place)
        self.edges.extend(DrawnEdge(producer, consumer) for producer in producers)

    def _call(self, node: Node, outputs: tuple[DrawnTensor, ...]) -> DrawnNode:
        row: NodeRow = next(self.rows)
        read = tuple(dict.fromkeys(key for name in node.refs for key in self.keys.get(name, ())))
        if node.name in self.fixed:
            self.keys[node.name] = read
        return DrawnNode(
            name=node.name,
            kind="call",
            modules=tuple((path, kind.rsplit(".", 1)[-1]) for path, kind in node.modules),
            cost=row.group,
            category=row.category,
            role=row.role,
            op=row.op,
            source=row.source,
            attention=row.attention,
            outputs=outputs,
            weights=read,
            members=(node.name,),
        )

    def _outputs(self, index: int, node: Node) -> Iterator[DrawnTensor]:
        texts = self.symbolic[index] if self.symbolic is not None else (None,) * len(node.outputs)
        for out, text in zip(node.outputs, texts, strict=True):
            if out is not None:
                yield _tensor(out, text)


def _input(node: Node, outputs: tuple[DrawnTensor, ...]) -> DrawnNode:
    return DrawnNode(node.name, "input", outputs=outputs)


def _tensor(out: TensorSpec, text: TensorSpec | None) -> DrawnTensor:
    """`out` with its sizes as integers, and those of `text`, the same tensor before sizes were filled in."""
    sizes = text.shape if text is not None else ()
    symbolic = tuple(map(str, sizes)) if any(isinstance(size, str) for size in sizes) else None
    return DrawnTensor(tuple(int(size) for size in out.shape), out.dtype, symbolic)
