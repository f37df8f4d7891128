"""Operators of a model file, its functions counted where they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

GROUPS: Mapping[str, frozenset[str]] = {
    "attention": frozenset({"Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedMultiHeadAttention"}),
    "softmax": frozenset({"Softmax"}),
    "gelu": frozenset({"Gelu", "FastGelu", "BiasGelu", "BiasSplitGelu"}),
    "x sigmoid": frozenset({"QuickGelu", "Swish"}),
    "erf": frozenset({"Erf"}),
    "RMS norm": frozenset({"RMSNormalization", "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"}),
    "RoPE": frozenset({"RotaryEmbedding"}),
    "skip norm": frozenset({"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}),
    "group norm": frozenset({"GroupNormalization", "GroupNorm", "SkipGroupNorm"}),
    "instance norm": frozenset({"InstanceNormalization"}),
}


def grouped(operators: Mapping[str, int]) -> dict[str, int]:
    """{column of the table: count}, of counts by "domain::name" or name alone; "nodes" is all of them."""
    bare: Counter[str] = Counter()
    for name, count in operators.items():
        bare[name.rpartition("::")[2]] += count
    found = {column: sum(bare[name] for name in names) for column, names in GROUPS.items()}
    return {**found, "nodes": sum(operators.values())}


def operators_of_file(path: Path) -> dict[str, int]:
    """{operator: count} of the model at `path`; its weights are not read."""
    import onnx

    return operators_of_model(onnx.load(str(path), load_external_data=False))


def operators_of_model(model: Any) -> dict[str, int]:
    """{operator: count} of a ModelProto."""
    functions = {(item.domain, item.name): item.node for item in model.functions}

    def count(nodes: Iterable[Any]) -> Counter[str]:
        found: Counter[str] = Counter()
        for node in nodes:
            body = functions.get((node.domain, node.op_type))
            if body is not None:
                found += count(body)
                continue
            found[f"{node.domain}::{node.op_type}" if node.domain else node.op_type] += 1
            for attribute in node.attribute:
                for graph in (attribute.g, *attribute.graphs):
                    found += count(graph.node)
        return found

    return dict(count(model.graph.node))
