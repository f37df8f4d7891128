"""GraphML as networkx reads it back: the same nodes, edges and attributes, with their types."""

from __future__ import annotations

import io

import networkx as nx
import pytest

from graphlab.report.group import Group
from graphlab.viewers.as_graphml import to_graphml, to_networkx
from graphlab.viewers.data import Drawing
from tests.viewers.sample import HOSTILE, diffusion, hostile


@pytest.mark.parametrize("kind", ["hostile", "diffusion"])
def test_it_comes_back(kind: str) -> None:
    drawing = hostile() if kind == "hostile" else diffusion()
    text, graph = to_graphml(drawing), to_networkx(drawing)
    found = nx.read_graphml(io.BytesIO(text.encode("utf-8")))
    assert list(found.nodes(data=True)) == list(graph.nodes(data=True))
    assert sorted(found.edges(data=True), key=str) == sorted(graph.edges(data=True), key=str)
    assert to_graphml(drawing) == text


def test_every_name_is_said() -> None:
    names = {facts["name"] for _, facts in to_networkx(hostile()).nodes(data=True)}
    assert len(names) == 2 * len(HOSTILE) + 3
    assert "line\\nbreak</script>" in names


def test_costs_add_up_to_the_report() -> None:
    for stage in diffusion().stages:
        total = sum((node.cost for node in stage.nodes), Group())
        one = Drawing("s", "w", "toy", {}, (stage,))
        facts = [facts for _, facts in to_networkx(one).nodes(data=True)]
        assert sum(fact.get("flops", 0) for fact in facts) == total.flops
        assert sum(fact.get("bytes", 0) for fact in facts) == total.bytes
        assert sum(fact.get("seconds", 0) for fact in facts) == pytest.approx(total.seconds)
        assert stage.path.total == pytest.approx(total.seconds)
        on_path = [fact.get("seconds", 0) for fact in facts if fact["on_critical_path"]]
        assert sum(on_path) == pytest.approx(stage.path.length)


def test_without_a_device_there_are_no_seconds() -> None:
    assert not any("seconds" in facts for _, facts in to_networkx(hostile(timed=False)).nodes(data=True))


def test_stages_stand_side_by_side() -> None:
    graph = to_networkx(diffusion())
    stages = {name.partition("/")[0] for name in graph.nodes}
    assert stages == {"text_encoder", "unet", "vae_decoder"}
    assert all(a.partition("/")[0] == b.partition("/")[0] for a, b in graph.edges)
    for name, facts in graph.nodes(data=True):
        assert "dominator" not in facts or facts["dominator"].partition("/")[0] == name.partition("/")[0]
        assert "dominator" not in facts or facts["dominator"] in graph
