"""The files for Model Explorer against its own data classes, and against the drawing they are made of."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from graphlab.drawing import graph_picture
from graphlab.facts import PlacedWeight
from graphlab.report.group import Group
from graphlab.viewers.data import Drawing
from graphlab.viewers.formats import overlay_names
from graphlab.viewers.model_explorer import OVERVIEW, to_model_explorer
from graphlab.viewers.names import is_plain
from graphlab.viewers.overlays import to_overlays
from tests.viewers.sample import HOSTILE, chain, diffusion, drawn, hostile

INSTALLED = importlib.util.find_spec("model_explorer") is not None


def graphs(drawing: Drawing) -> dict[str, dict[str, Any]]:
    found = json.loads(to_model_explorer(drawing))
    return {graph["id"]: graph for graph in found["graphs"]}


def attributes(node: dict[str, Any]) -> dict[str, Any]:
    return {pair["key"]: pair["value"] for pair in node["attrs"]}


@pytest.mark.parametrize("kind", ["hostile", "diffusion"])
def test_ids_are_plain_and_edges_lead_to_nodes(kind: str) -> None:
    drawing = hostile() if kind == "hostile" else diffusion()
    for name, graph in graphs(drawing).items():
        ids = [node["id"] for node in graph["nodes"]]
        assert len(set(ids)) == len(ids)
        assert all(map(is_plain, (name, *ids)))
        for node in graph["nodes"]:
            assert {edge["sourceNodeId"] for edge in node["incomingEdges"]} <= set(ids)
            assert all(text.isprintable() for text in (node["label"], node["namespace"]))
            assert set(attributes(node).get("dominator", {"nodeIds": ids[:1]})["nodeIds"]) <= set(ids)


def test_layers_are_the_module_stack() -> None:
    unet = graphs(diffusion())["unet"]
    by_id = {node["id"]: node for node in unet["nodes"]}
    assert by_id["sample"]["namespace"] == "inputs"
    assert by_id["conv2d"]["namespace"] == "UNet2DConditionModel/conv_in (Conv2d)"
    deep = {node["namespace"] for node in unet["nodes"] if "attn2.to_q" in attributes(node).get("module", "")}
    assert any(
        re.fullmatch(
            r"UNet2DConditionModel/down_blocks\.\d \(CrossAttnDownBlock2D\)/attentions\.\d \(Transformer2DModel\)"
            r"/transformer_blocks\.\d \(BasicTransformerBlock\)/attn2 \(Attention\)/to_q \(Linear\)",
            name,
        )
        for name in deep
    )


def test_a_slash_in_a_module_is_no_level() -> None:
    (graph,) = graphs(hostile()).values()
    levels = {node["namespace"] for node in graph["nodes"] if node["label"] == "relu"}
    assert 'Model/blocks\\/0 (Bl"ock)' in levels


def test_sums_of_layers_are_exact() -> None:
    drawing = diffusion()
    unet, stage = graphs(drawing)["unet"], drawing.stages[1]
    sums = unet["groupNodeAttributes"]
    total = sum((node.cost for node in stage.nodes), Group())
    assert sums["UNet2DConditionModel"]["FLOP"].split()[0] == str(total.flops)
    assert sums[""]["one run, FLOP"].split()[0] == str(total.flops)
    assert sums["UNet2DConditionModel"]["materialized bytes"].split()[0] == str(total.bytes)
    parts = [value for key, value in sums.items() if key.count("/") == 1]
    inside = sum(int(part["FLOP"].split()[0]) for part in parts)
    own = sum(node.cost.flops for node in stage.nodes if len(node.modules) == 1)
    assert inside + own == total.flops


def test_the_first_graph_is_the_generation() -> None:
    drawing = diffusion()
    first = next(iter(graphs(drawing).values()))
    assert first["id"] == OVERVIEW
    assert [node["subgraphIds"] for node in first["nodes"]] == [["text_encoder"], ["unet"], ["vae_decoder"]]
    assert [len(node["incomingEdges"]) for node in first["nodes"]] == [0, 1, 1]
    assert attributes(first["nodes"][1])["runs"] == "50 x 2"


def test_a_stage_may_be_called_like_the_overview_or_another_stage() -> None:
    one = hostile().stages[0]
    drawing = Drawing("s", "w", None, {}, tuple(replace(one, name=n) for n in (OVERVIEW, "a", "a", "__proto__")))
    names = list(graphs(drawing))
    assert len(set(names)) == 5
    assert names[0] == OVERVIEW
    for text in to_overlays(drawing).values():
        assert set(json.loads(text)) == set(names)


def test_overlays_hold_every_node_and_every_graph() -> None:
    drawing = diffusion()
    overlays = {name: json.loads(text) for name, text in to_overlays(drawing).items()}
    assert list(overlays) == overlay_names(timed=True, masks=0)
    unet = drawing.stages[1]
    for name in ("flops", "bytes"):
        values = {key: item["value"] for key, item in overlays[name]["unet"]["results"].items()}
        expected = {node.name: getattr(node.cost, name) for node in unet.nodes if node.cost.nodes}
        assert values == expected
        assert [stop["stop"] for stop in overlays[name]["unet"]["gradient"]] == [0, 0.5, 1]
    assert overlays["flops"][OVERVIEW]["results"]["unet"]["value"] == unet.flops_total
    times = [item["value"] for item in overlays["time"]["unet"]["results"].values()]
    assert sum(times) == pytest.approx(1e6 * unet.path.total, rel=1e-4)
    assert overlays["category"]["unet"]["results"]["conv2d"]["value"] == "convolution"


def test_an_unknown_cost_is_no_zero() -> None:
    program = chain(("a",))
    nodes = tuple(replace(n, target="my.op.default") if n.name == "a" else n for n in program.graph.nodes)
    drawing = drawn(replace(program, graph=replace(program.graph, nodes=nodes)))
    assert "a" not in json.loads(to_overlays(drawing)["flops"])["hostile"]["results"]
    assert "a" in json.loads(to_overlays(drawing)["bytes"])["hostile"]["results"]
    node = next(n for n in graphs(drawing)["hostile"]["nodes"] if n["id"] == "a")
    assert attributes(node)["FLOP"] == "unknown: 1 of 1 calls without a rule"


def test_density_of_a_mask_is_that_of_the_weights_a_node_reads() -> None:
    drawing = drawn(chain(("a", "b")))
    mask = {"w": PlacedWeight("w", "blocks", "other", None, None, 256, 64)}
    stage = replace(drawing.stages[0], masks={"m": mask})
    masked = replace(drawing, stages=(stage,))
    found = json.loads(to_overlays(masked)["mask-density"])["hostile"]["results"]
    readers = {node.name for node in stage.nodes if node.weights}
    assert len(found) == len(readers) == 2
    assert {item["value"] for item in found.values()} == {0.25}
    whole = json.loads(graph_picture("model-explorer", masked, 3).overlays["mask-density"])["hostile"]["results"]
    assert [item["value"] for item in whole.values()] == [0.25]


def test_sizes_of_a_symbolic_capture_are_said_as_text() -> None:
    import torch

    import graphlab

    class Net(torch.nn.Module):
        def forward(self, sample: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.silu(sample) * 2

    program = graphlab.capture(Net(), (torch.ones(2, 4, 6, 8),))
    graph = next(iter(graphs(drawn(program)).values()))
    tensor = {pair["key"]: pair["value"] for pair in graph["nodes"][1]["outputsMetadata"][0]["attrs"]}
    assert tensor["shape"] == "2x4x6x8"
    assert "sample.d2" in tensor["symbolic shape"]


def test_nothing_to_draw_is_drawn() -> None:
    from graphlab.graph import Graph
    from graphlab.program import Program

    drawing = drawn(Program("empty", Graph((), ())))
    assert graphs(drawing)["empty"]["nodes"] == []
    assert json.loads(to_overlays(drawing)["flops"])["empty"]["results"] == {}
    assert graph_picture("dot", drawing).text.endswith("}\n")
    assert "<graph" in graph_picture("graphml", drawing).text


@pytest.mark.skipif(not INSTALLED, reason="ai-edge-model-explorer is not installed")
@pytest.mark.parametrize("kind", ["hostile", "diffusion"])
def test_the_data_classes_of_model_explorer_take_it(kind: str) -> None:
    import dacite
    from model_explorer import graph_builder, node_data_builder

    drawing = hostile() if kind == "hostile" else diffusion()
    config = dacite.Config(strict=True)
    made = dacite.from_dict(graph_builder.GraphCollection, json.loads(to_model_explorer(drawing)), config)
    assert [len(graph.nodes) for graph in made.graphs][-1] == len(drawing.stages[-1].nodes)
    for name, text in to_overlays(drawing).items():
        for data in json.loads(text).values():
            if name == "category":  # the viewer takes text, its class of a value says number
                data["results"] = {key: {**item, "value": 0} for key, item in data["results"].items()}
            dacite.from_dict(node_data_builder.GraphNodeData, data, config)


def test_every_hostile_name_is_said_somewhere() -> None:
    (graph,) = graphs(hostile()).values()
    names = {attributes(node)["name"] for node in graph["nodes"]}
    assert len(names) == 2 * len(HOSTILE) + 3
