"""Every op of the model classes graphlab is for has a rule, as exported and decomposed, and the FLOPs are torch's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from graphlab.capture.extract import extract
from graphlab.graph import Graph, Node
from graphlab.ops import TABLE, rule_for
from graphlab.ops.rule import resolve
from graphlab.ops.traffic import aliases, traffic
from tests.ops.oracle import counted
from tests.ops.tiny_models import CASES, DEVICE

# Oracle: torch's counter has no formula for `mv`; nothing else differs in these models.
MODELS = sorted(CASES)


@lru_cache(maxsize=1)
def built(name: str) -> tuple[torch.nn.Module, dict[str, Any]]:
    device = DEVICE.get(name, "meta")
    with torch.device(device):
        module, kwargs = CASES[name]()
    return module.to(device).eval().requires_grad_(False), kwargs


@lru_cache(maxsize=1)
def exported(name: str) -> ExportedProgram:
    module, kwargs = built(name)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (), kwargs, strict=False)


@lru_cache(maxsize=2)
def graph_of(name: str, level: str) -> Graph:
    program = exported(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return extract(program if level == "exported" else program.run_decompositions())


def _resolved(graph: Graph, node: Node) -> tuple[Any, dict[str, Any], Any]:
    def spec(name: str) -> Any:
        outputs = graph.by_name[name].outputs
        return outputs[0] if len(outputs) == 1 else outputs

    kwargs = {key: resolve(value, spec) for key, value in node.kwargs}
    return resolve(node.args, spec), kwargs, node.outputs[0] if len(node.outputs) == 1 else node.outputs


def _flops(graph: Graph) -> Iterator[int]:
    for node in graph.calls:
        args, kwargs, out = _resolved(graph, node)
        yield TABLE[node.target].body(*args, out=out, **kwargs).flops


@pytest.mark.parametrize("level", ["exported", "decomposed"])
@pytest.mark.parametrize("name", MODELS)
def test_every_op_has_a_rule_and_sane_bytes(name: str, level: str) -> None:
    graph = graph_of(name, level)
    assert {node.target for node in graph.calls if rule_for(node.target) is None} == set()
    for node in graph.calls:
        args, kwargs, out = _resolved(graph, node)
        rule = TABLE[node.target]
        work = rule.body(*args, out=out, **kwargs)
        read, written = traffic(rule, args, kwargs, out, node.refs)
        assert work.flops >= 0, node
        assert work.pointwise >= 0, node
        assert read >= 0, node
        assert written <= sum(spec.nbytes for spec in node.outputs if spec is not None), node
        if read or written:
            assert rule.in_place or not aliases(rule, args, kwargs, out), node


@pytest.mark.parametrize("name", [name for name in MODELS if name not in DEVICE])
def test_flops_are_torchs_at_both_levels(name: str) -> None:
    module, kwargs = built(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        oracle = counted(lambda: module(**kwargs))
    assert sum(_flops(graph_of(name, "exported"))) == oracle
    assert sum(_flops(graph_of(name, "decomposed"))) == oracle
