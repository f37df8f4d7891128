"""Regions of a graph (graphs that are an operator's argument) as copies of their own."""

from __future__ import annotations

from collections.abc import Iterator

import torch


def own_regions(module: torch.fx.GraphModule) -> Iterator[torch.fx.Graph]:
    """The graph of `module` and those of its regions, which are copied first: a copied graph shares them."""
    yield module.graph
    for node in module.graph.find_nodes(op="get_attr"):
        inner = getattr(module, str(node.target), None)
        if not isinstance(inner, torch.fx.GraphModule):
            continue
        graph = torch.fx.Graph()
        known: dict[torch.fx.Node, torch.fx.Node] = {}
        output = graph.graph_copy(inner.graph, known, return_output_node=True)
        assert isinstance(output, tuple)
        graph.output(output[0]).meta = dict(output[1].meta)
        copied = torch.fx.GraphModule(inner, graph)
        copied.meta.update(inner.meta)
        yield from own_regions(copied)
        copied.recompile()
        setattr(module, str(node.target), copied)
