"""A `Drawing` as the JSON that Model Explorer takes: a graph a stage, layers from the module stack.

The layout is that of its graph collections (model_explorer/graph_builder.py of ai-edge-model-explorer 0.1.34).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from graphlab.report.group import Group
from graphlab.report.wording import MATERIALIZED_BYTES, time_text
from graphlab.units import format_bytes, format_count
from graphlab.viewers.data import Drawing, DrawnEdge, DrawnNode, DrawnStage
from graphlab.viewers.facts import density, label, quantities
from graphlab.viewers.names import namespace, shown, unique_ids

OVERVIEW = "generation"
"""The graph whose nodes are the stages, in the order they run."""


def to_model_explorer(drawing: Drawing) -> str:
    """One graph collection: with several stages first a graph of them, then a graph a stage."""
    ids = graph_ids(drawing)
    graphs = [_graph(stage, name) for stage, name in zip(drawing.stages, ids, strict=True)]
    if len(drawing.stages) > 1:
        graphs.insert(0, _overview(drawing, ids))
    found = {"label": shown(drawing.workload), "graphs": graphs, "graphSorting": "node_count_desc"}
    return json.dumps(found, indent=1, allow_nan=False) + "\n"


def graph_ids(drawing: Drawing) -> list[str]:
    """The id of the graph of every stage."""
    return unique_ids((stage.name for stage in drawing.stages), (OVERVIEW,), "stage")


def node_ids(stage: DrawnStage) -> list[str]:
    """The id of every node of `stage`: its name, unless a viewer would trip over it."""
    return unique_ids(node.name for node in stage.nodes)


def _graph(stage: DrawnStage, name: str) -> dict[str, Any]:
    ids = node_ids(stage)
    incoming: list[list[DrawnEdge]] = [[] for _ in stage.nodes]
    for edge in stage.edges:
        incoming[edge.consumer].append(edge)
    nodes = [_node(stage, place, incoming[place], ids) for place in range(len(stage.nodes))]
    return {"id": name, "nodes": nodes, "groupNodeAttributes": {"": _about(stage), **_layers(stage)}}


def _node(stage: DrawnStage, place: int, incoming: Sequence[DrawnEdge], ids: Sequence[str]) -> dict[str, Any]:
    node = stage.nodes[place]
    edges = [
        {"sourceNodeId": ids[edge.producer], "sourceNodeOutputId": "0", "targetNodeInputId": str(number)}
        for number, edge in enumerate(incoming)
    ]
    read = [
        {"id": str(number), "attrs": [_pair("__tensor_tag", shown(stage.nodes[edge.producer].name))]}
        for number, edge in enumerate(incoming)
    ]
    return {
        "id": ids[place],
        "label": label(node),
        "namespace": _path(node),
        "attrs": list(_attributes(stage, node, ids)),
        "incomingEdges": edges,
        "inputsMetadata": read,
        "outputsMetadata": list(_outputs(node)),
    }


def _path(node: DrawnNode) -> str:
    """Layers from outside to inside; a slash within a name is escaped, as the viewer asks for."""
    levels = namespace(node.modules)
    own = levels[:-1] if node.kind == "module" and node.modules else levels
    if node.kind in ("input", "output"):
        own = (f"{node.kind}s",)
    return "/".join(level.replace("/", "\\/") for level in own)


def _attributes(stage: DrawnStage, node: DrawnNode, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    yield _pair("name", shown(node.name))
    for key in ("op", "category", "role", "module", "source"):
        if getattr(node, key):
            yield _pair(key, shown(getattr(node, key)))
    for key, text in _costs(node.cost).items():
        yield _pair(key, text)
    if node.kind == "module":
        yield _pair("calls", str(node.cost.nodes))
    if node.attention is not None:
        yield _pair("attention", shown(node.attention))
    if node.weights:
        yield _pair("weights", ", ".join(map(shown, node.weights)))
    for name, mask in stage.masks.items():
        share = density(node.weights, mask)
        if share is not None:
            yield _pair(f"mask density, {shown(name)}", f"{share:.1%}")
    yield _pair("on the critical path", "yes" if node.on_critical_path else "no")
    if node.dominator is not None:
        yield {"key": "dominator", "value": {"type": "node_ids", "nodeIds": [ids[node.dominator]]}}


def _costs(cost: Group) -> dict[str, str]:
    """The costs of a node or layer, exact and readable; nothing for one without calls."""
    if not cost.nodes:
        return {}
    unknown = f"unknown: {cost.unknown} of {cost.nodes} calls without a rule"
    if cost.flops is None:
        found = {"FLOP": unknown}
    else:
        found = {"FLOP": f"{cost.flops} ({format_count(cost.flops, 'FLOP')})"}
        found["pointwise FLOP"] = str(cost.pointwise_flops)
        found |= {"FLOP not counted": unknown} if cost.unknown else {}
    found[MATERIALIZED_BYTES] = f"{cost.bytes} ({format_bytes(cost.bytes)})"
    if cost.seconds is not None:
        found["ideal time"] = f"{time_text(cost)} (an estimate, attention fused)"
    return found


def _outputs(node: DrawnNode) -> Iterator[dict[str, Any]]:
    for number, tensor in enumerate(node.outputs):
        attrs = [_pair("__tensor_tag", shown(node.name)), _pair("shape", tensor.text), _pair("dtype", tensor.dtype)]
        if tensor.symbolic is not None:
            attrs.append(_pair("symbolic shape", " x ".join(map(shown, tensor.symbolic))))
        yield {"id": str(number), "attrs": attrs}


def _layers(stage: DrawnStage) -> dict[str, dict[str, str]]:
    """{layer: its sums}, of every module that is drawn as a layer."""
    sums: dict[str, Group] = {}
    for node in stage.nodes:
        levels = _path(node).replace("\\/", "\0").split("/") if node.cost.nodes and _path(node) else []
        for depth in range(1, len(levels) + 1):
            layer = "/".join(levels[:depth]).replace("\0", "\\/")
            sums[layer] = sums.get(layer, Group()) + node.cost
    return {layer: {"calls": str(cost.nodes), **_costs(cost)} for layer, cost in sums.items()}


def _about(stage: DrawnStage) -> dict[str, str]:
    """What is shown of a graph while no node is picked."""
    path, total = stage.path, sum((node.cost for node in stage.nodes), Group())
    found = {"stage": shown(stage.name), "dtype": stage.dtype, "calls of its graph": str(stage.calls)}
    found["runs"] = f"{stage.steps} x {stage.calls_per_step}"
    found |= {f"one run, {key}": text for key, text in _costs(total).items()}
    if path.parallelism is not None:
        known = "known " if stage.unknown and path.measure == "flops" else ""
        found["critical path"] = f"{path.length / path.total:.1%} of the {known}{path.measure}, {path.calls} calls"
    return {**found, **{f"note {number}": shown(note) for number, note in enumerate(stage.notes, 1)}}


def _overview(drawing: Drawing, ids: Sequence[str]) -> dict[str, Any]:
    """The stages as nodes; edges are the order in which they run. Clicking one leads to its graph."""
    nodes: list[dict[str, Any]] = []
    for stage, name in zip(drawing.stages, ids, strict=True):
        sums = quantities(stage)
        attrs = [_pair("runs", f"{stage.steps} x {stage.calls_per_step}")]
        attrs += [_pair(f"{key} of a generation", text) for key, text in sums.items()]
        before = [{"sourceNodeId": node["id"], "sourceNodeOutputId": "0", "targetNodeInputId": "0"} for node in nodes]
        nodes.append(
            {
                "id": name,
                "label": shown(stage.name),
                "namespace": "",
                "subgraphIds": [name],
                "attrs": attrs,
                "incomingEdges": before[-1:],
            }
        )
    about = {"workload": shown(drawing.workload), "source": shown(drawing.source), "edges": "the order of the stages"}
    about |= {"device": shown(drawing.device)} if drawing.device is not None else {}
    about |= {shown(name): str(value) for name, value in drawing.bindings.items()}
    return {"id": OVERVIEW, "nodes": nodes, "groupNodeAttributes": {"": about}}


def _pair(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": value}
