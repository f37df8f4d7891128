"""Node data for Model Explorer: a file a quantity, which colours the nodes of every graph by it.

The layout is that of its node data (model_explorer/node_data_builder.py of ai-edge-model-explorer 0.1.34).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from graphlab.report.wording import MATERIALIZED_BYTES
from graphlab.viewers.colours import colour_of, text_on
from graphlab.viewers.data import Drawing, DrawnNode, DrawnStage
from graphlab.viewers.facts import density
from graphlab.viewers.formats import mask_names
from graphlab.viewers.model_explorer import OVERVIEW, graph_ids, node_ids
from graphlab.viewers.names import shown

GRADIENT = (
    {"stop": 0, "bgColor": "#fff7ec", "textColor": "#000000"},
    {"stop": 0.5, "bgColor": "#fc8d59", "textColor": "#000000"},
    {"stop": 1, "bgColor": "#7f0000", "textColor": "#ffffff"},
)
"""Least to most, readable in print and to colour-blind eyes (ColorBrewer's OrRd)."""

_NO_SUMS = {"showExpandedSummaryOnGroupNode": True, "hideInAggregatedStatsTable": True}
"""Of text, a layer shows what shares are which, and nothing adds up."""

Value = Callable[[DrawnNode], float | int | None]


def to_overlays(drawing: Drawing) -> dict[str, str]:
    """{"flops": node data as JSON, "bytes", "category"}, "time" with a device, "mask-density" with a mask."""
    found = {
        "flops": _numbers(drawing, "FLOP", _flops, lambda stage: stage.flops_total, counted=True),
        "bytes": _numbers(drawing, MATERIALIZED_BYTES, _bytes, lambda stage: stage.bytes_total),
        "category": _categories(drawing),
    }
    if drawing.device is not None:
        name = f"ideal microseconds, {shown(drawing.device)}"
        found["time"] = _numbers(drawing, name, _time, lambda stage: _microseconds(stage.seconds_total))
    names = list(dict.fromkeys(name for stage in drawing.stages for name in stage.masks))
    for file, name in zip(mask_names(len(names)), names, strict=True):
        found[file] = _densities(drawing, name)
    return {name: json.dumps(data, indent=1, allow_nan=False) + "\n" for name, data in found.items()}


def _flops(node: DrawnNode) -> int | None:
    return node.cost.flops if node.cost.nodes else None


def _bytes(node: DrawnNode) -> int | None:
    return node.cost.bytes if node.cost.nodes else None


def _time(node: DrawnNode) -> float | None:
    return _microseconds(node.cost.seconds)


def _microseconds(seconds: float | None) -> float | None:
    """The viewer shows numbers as they are; seconds would be zeros and exponents."""
    return None if seconds is None else round(seconds * 1e6, 6)


def _numbers(
    drawing: Drawing,
    name: str,
    value: Value,
    whole: Callable[[DrawnStage], float | int | None],
    *,
    counted: bool = False,
) -> dict[str, Any]:
    """A number a node of one run, and a number a stage of a whole generation in the graph of the stages.

    The viewer adds numbers up by layer: where they are `counted`, the title says how many calls are not in its sums.
    """

    def title(unknown: int, text: str) -> str:
        return f"{text}, without {unknown} calls that have no rule" if counted and unknown else text

    def data(values: Mapping[str, float | int | None], title: str) -> dict[str, Any]:
        known = {key: {"value": found} for key, found in values.items() if found is not None}
        return {"name": title, "results": known, "gradient": list(GRADIENT)}

    ids = graph_ids(drawing)
    found = {
        key: data(_by_id(stage, value), title(stage.unknown, name))
        for key, stage in zip(ids, drawing.stages, strict=True)
    }
    if len(drawing.stages) > 1:
        stages = {key: whole(stage) for key, stage in zip(ids, drawing.stages, strict=True)}
        unknown = sum(stage.unknown for stage in drawing.stages)
        found[OVERVIEW] = data(stages, title(unknown, f"{name}, whole generation"))
    return found


def _by_id(stage: DrawnStage, value: Value) -> dict[str, float | int | None]:
    return {key: value(node) for key, node in zip(node_ids(stage), stage.nodes, strict=True)}


def _categories(drawing: Drawing) -> dict[str, Any]:
    """The category of every node as text, a colour each."""

    def data(stage: DrawnStage | None) -> dict[str, Any]:
        nodes = [] if stage is None else zip(node_ids(stage), stage.nodes, strict=True)
        results = {key: _coloured(node.category) for key, node in nodes if node.category}
        return {"name": "category", "results": results, **_NO_SUMS}

    return _everywhere(drawing, data)


def _coloured(category: str) -> dict[str, str]:
    colour = colour_of(category)
    return {"value": category, "bgColor": colour, "textColor": text_on(colour)}


def _densities(drawing: Drawing, name: str) -> dict[str, Any]:
    """Shares from 0 to 1; colours go from the least to the most of the mask."""

    def data(stage: DrawnStage | None) -> dict[str, Any]:
        mask = stage.masks.get(name, {}) if stage is not None else {}
        shares = _by_id(stage, lambda node: density(node.weights, mask)) if stage is not None else {}
        results = {key: {"value": share} for key, share in shares.items() if share is not None}
        return {"name": f"mask density, {shown(name)}", "results": results, "gradient": list(GRADIENT)}

    return _everywhere(drawing, data)


def _everywhere(drawing: Drawing, data: Callable[[DrawnStage | None], dict[str, Any]]) -> dict[str, Any]:
    """`data` of every stage, and of None for the graph of the stages: the viewer asks every graph for an entry."""
    found = {key: data(stage) for key, stage in zip(graph_ids(drawing), drawing.stages, strict=True)}
    return {**found, OVERVIEW: data(None)} if len(drawing.stages) > 1 else found
