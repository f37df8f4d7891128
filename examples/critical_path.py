"""Ask the graph of a stage: what every path must pass, and which chain of calls is longest in ideal time.

python examples/critical_path.py [MODEL [STAGE]]
"""

from __future__ import annotations

import sys

import networkx as nx

import graphlab


def main(model: str = "stable-diffusion-v1-5-tiny", stage: str = "unet") -> None:
    """Nothing here is graphlab's own: the graph is a networkx.DiGraph with facts as attributes."""
    report = graphlab.analyze(model, "a100-80gb", stage=stage, dynamic=False)
    graph = report.to_networkx(stage)
    source, result = report.stage(stage).inputs[0].name, report.stage(stage).nodes[-1].name

    def seconds(node: str) -> float:
        return graph.nodes[node].get("seconds") or 0.0

    # A call costs its own ideal time, whatever edge leads to it.
    for _, consumer, edge in graph.edges(data=True):
        edge["seconds"] = seconds(consumer)
    path = nx.dag_longest_path(graph, weight="seconds")
    print(f"{graph.number_of_nodes()} nodes; critical path: {len(path)} of them, {sum(map(seconds, path)):.3g} s")
    print(f"all calls one after the other: {sum(map(seconds, graph)):.3g} s (ideal times, estimates)")

    # A dominator of the result lies on every path from the source to it.
    dominators = nx.immediate_dominators(graph, source)
    chain = [result]
    while chain[-1] != source:
        chain.append(dominators[chain[-1]])
    print(f"every path from {source} to {result} passes {len(chain)} nodes: {', '.join(chain[::-1][:4])}, ...")

    untouched = set(graph) - nx.descendants(graph, source) - {source}
    calls = [node for node in untouched if graph.nodes[node]["kind"] == "call"]
    print(f"{len(calls)} calls do not depend on {source}")


if __name__ == "__main__":
    main(*sys.argv[1:])
