"""A `Drawing` as one networkx graph, and that as GraphML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import networkx as nx

from graphlab.viewers.data import Drawing
from graphlab.viewers.facts import facts, label
from graphlab.viewers.names import namespace, shown, unique_ids

if TYPE_CHECKING:
    import networkx


def stage_ids(drawing: Drawing) -> list[list[str]]:
    """The ids of the nodes of every stage: their names, after "stage/" where there are several stages."""
    several = len(drawing.stages) > 1
    before = unique_ids((stage.name for stage in drawing.stages), other="stage")
    return [
        [f"{name}/{key}" if several else key for key in unique_ids(node.name for node in stage.nodes)]
        for name, stage in zip(before, drawing.stages, strict=True)
    ]


def to_networkx(drawing: Drawing) -> networkx.DiGraph:
    """Every stage as one DiGraph: nodes with the facts of `graphlab.viewers.facts` and a label, edges with `values`.

    `namespace` is the module stack as text, levels parted by " / ". Attributes are strings, numbers and booleans.
    """
    graph = nx.DiGraph(name=shown(drawing.workload), **_about(drawing))
    for stage, ids in zip(drawing.stages, stage_ids(drawing), strict=True):
        for key, node in zip(ids, stage.nodes, strict=True):
            levels = namespace(node.modules)
            own = {"namespace": " / ".join(levels)} if levels else {}
            graph.add_node(key, label=label(node), **facts(stage, node, ids), **own)
        for edge in stage.edges:
            graph.add_edge(ids[edge.producer], ids[edge.consumer], values=edge.values)
    return graph


def to_graphml(drawing: Drawing) -> str:
    """GraphML with the attributes of `to_networkx`."""
    out = io.BytesIO()
    nx.write_graphml_xml(to_networkx(drawing), out, prettyprint=True, infer_numeric_types=True)
    return out.getvalue().decode("utf-8").rstrip("\n") + "\n"


def _about(drawing: Drawing) -> dict[str, Any]:
    found: dict[str, Any] = {"source": shown(drawing.source)}
    if drawing.device is not None:
        found["device"] = shown(drawing.device)
    return found
