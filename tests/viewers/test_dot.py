"""DOT as its grammar and pydot read it: every node, edge and cost, whatever the names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.drawing import graph_picture
from graphlab.viewers.as_graphml import stage_ids, to_networkx
from graphlab.viewers.data import Drawing
from graphlab.viewers.dot import quoted, to_dot
from graphlab.viewers.names import namespace, shown
from tests.viewers.dot_grammar import Dot, Reader
from tests.viewers.sample import HOSTILE, chain, diffusion, drawn, hostile


def read(drawing: Drawing) -> Dot:
    return Reader(to_dot(drawing)).read()


@pytest.mark.parametrize("kind", ["hostile", "diffusion"])
def test_every_node_and_edge_is_there(kind: str) -> None:
    drawing = hostile() if kind == "hostile" else diffusion()
    found, graph = read(drawing), to_networkx(drawing)
    assert set(found.nodes) == set(graph.nodes)
    assert {(a, b) for a, b, _ in found.edges} == set(graph.edges)
    for name, facts in graph.nodes(data=True):
        own = found.nodes[name]
        for key in ("flops", "bytes", "category", "module", "dominator", "on_critical_path"):
            said = facts.get(key)
            text = str(said).lower() if isinstance(said, bool) else str(said)
            assert own.get(key) == (None if said is None else text.replace("\\", "\\\\")), key
        assert own.get("tensor_shape") == facts.get("shape")
        assert ("seconds" in own) == ("seconds" in facts)
        assert float(own.get("seconds", "0")) == facts.get("seconds", 0)


def test_clusters_are_the_modules() -> None:
    (stage,) = hostile().stages
    stacks = {node.modules[: depth + 1] for node in stage.nodes for depth in range(len(node.modules))}
    labels = sorted(namespace(stack)[-1].replace("\\", "\\\\") for stack in stacks)
    legend, *clusters = read(hostile()).clusters
    assert sorted(clusters) == labels
    assert "materialized bytes: attention scores in memory; ideal time on toy, an estimate" in legend
    whole = diffusion()
    assert {stage.name for stage in whole.stages} <= set(read(whole).clusters)


def test_the_critical_path_is_one_red_chain() -> None:
    drawing = hostile()
    red = [(a, b) for a, b, facts in read(drawing).edges if facts.get("color") == "red"]
    (stage,), (ids,) = drawing.stages, stage_ids(drawing)
    chain = [key for key, node in zip(ids, stage.nodes, strict=True) if node.on_critical_path]
    assert len(red) == len(chain) - 1 > 10
    assert [a for a, _ in red] == chain[:-1]
    assert [b for _, b in red] == chain[1:]


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_is_one_string(text: str) -> None:
    (token,) = Reader(quoted(text)).tokens
    assert token == ("quoted", quoted(text))
    assert token[1][1:-1].replace('\\"', '"').replace("\\\\", "\\") == shown(text)


def test_the_reader_refuses_what_is_no_dot() -> None:
    for text in ('digraph "a" { "b" -> ; }', "digraph a { node -> b }", 'digraph "a"b" {}', "digraph a { b [c=] }"):
        with pytest.raises(AssertionError):
            Reader(text).read()


def test_a_collapsed_stage_says_how_many_values_an_edge_carries() -> None:
    found = Reader(graph_picture("dot", diffusion(), 30).text).read()
    assert any(int(facts.get("values", "1")) > 1 for _, _, facts in found.edges)
    assert {facts["kind"] for facts in found.nodes.values()} == {"call", "module", "input", "output"}


@pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")  # pydot 4 calls pyparsing by old names
@pytest.mark.skipif(importlib.util.find_spec("pydot") is None, reason="pydot is not installed")
def test_networkx_reads_it_through_pydot(tmp_path: Path) -> None:
    import networkx as nx

    path = tmp_path / "a.dot"
    drawing = drawn(chain(HOSTILE[:4]))
    path.write_text(to_dot(drawing), encoding="utf-8")
    found = nx.nx_pydot.read_dot(path)
    graph = to_networkx(drawing)
    assert {name.strip('"') for name in found.nodes} >= set(graph.nodes)
    assert {(a.strip('"'), b.strip('"')) for a, b in found.edges()} == set(graph.edges)
