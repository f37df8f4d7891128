"""A stage's graph for networkx."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx

    from graphlab.report.data import StageReport


def stage_graph(stage: StageReport) -> networkx.DiGraph:
    """DiGraph of `stage`: attributes of a call are the fields of its NodeRow; inputs and weights have `kind` alone."""
    import networkx as nx

    graph = nx.DiGraph(name=stage.name)
    for row in stage.nodes:
        facts = {name: getattr(row, name) for name in row.__slots__ if name != "name"}
        graph.add_node(row.name, kind="call", **facts)
    calls = set(graph)
    flops = {row.name: row.flops or 0 for row in stage.nodes}
    inputs = {row.name for row in stage.inputs}
    for producer, consumer in stage.edges:
        if producer not in calls and producer not in graph:
            graph.add_node(producer, kind="input" if producer in inputs else "weight")
        graph.add_edge(producer, consumer, weight=flops.get(consumer, 0))
    return graph
