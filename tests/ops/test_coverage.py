"""Every op of the model classes graphlab is for has a rule, as exported and decomposed, and the FLOPs are torch's."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from graphlab.graph import Graph, Node
from graphlab.ops import TABLE, rule_for
from graphlab.ops.rule import resolve
from graphlab.ops.traffic import aliases, traffic
from graphlab.sources.extract import extract
from tests.ops.oracle import counted
from tests.ops.tiny_models import CASES, DEVICE

DECOMPOSED = ("clip_text", "dit", "flux", "llama_decode", "sd15_eager", "t5_encoder")
"""Decomposed in every run, the others with the slow tests: run_decompositions traces a model again."""

DATA_DEPENDENT = ("mochi",)
"""Refused by the extractor: Mochi keeps the tokens under its mask, a size that depends on data. Names are checked."""


def built(name: str) -> tuple[torch.nn.Module, dict[str, Any]]:
    device = DEVICE.get(name, "meta")
    with torch.device(device):
        module, kwargs = CASES[name]()
    return module.to(device).eval().requires_grad_(False), kwargs


@lru_cache(maxsize=1)
def exported(name: str) -> tuple[ExportedProgram, dict[str, Any]]:
    module, kwargs = built(name)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(module, (), kwargs, strict=False), kwargs


def untold(program: ExportedProgram) -> set[str]:
    """Overloads in `program`, inlined regions included, that have no rule; what the extractor drops is left out."""
    modules = [m for m in program.graph_module.modules() if isinstance(m, torch.fx.GraphModule)]
    targets = {node.target for module in modules for node in module.graph.nodes if node.op == "call_function"}
    names = {str(target) for target in targets if isinstance(target, torch._ops.OpOverload)}
    return {n for n in names if rule_for(n) is None and not n.startswith(("aten._assert", "aten.sym_"))}


def resolved(graph: Graph, node: Node) -> tuple[Any, dict[str, Any], Any]:
    def spec(name: str) -> Any:
        outputs = graph.by_name[name].outputs
        return outputs[0] if len(outputs) == 1 else outputs

    kwargs = {key: resolve(value, spec) for key, value in node.kwargs}
    return resolve(node.args, spec), kwargs, node.outputs[0] if len(node.outputs) == 1 else node.outputs


def checked_flops(graph: Graph) -> int:
    """The FLOPs of `graph`, after checking that every op has a rule and gives sane work and bytes."""
    assert {node.target for node in graph.calls if rule_for(node.target) is None} == set()
    total = 0
    for node in graph.calls:
        args, kwargs, out = resolved(graph, node)
        rule = TABLE[node.target]
        work = rule.body(*args, out=out, **kwargs)
        read, written = traffic(rule, args, kwargs, out, node.refs)
        assert work.flops >= 0, node
        assert work.pointwise >= 0, node
        assert read >= 0, node
        assert 0 <= written <= sum(spec.nbytes for spec in node.outputs if spec is not None), node
        if aliases(rule, args, kwargs, out) and not rule.in_place:
            assert read == written == 0, node
        total += work.flops
    return total


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_exported_op_has_a_rule_and_flops_are_torchs(name: str) -> None:
    program, kwargs = exported(name)
    assert untold(program) == set()
    if name not in DATA_DEPENDENT:
        flops = checked_flops(extract(program))
        assert flops == counted(lambda: program.module(check_guards=False)(**kwargs)) > 0


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in DECOMPOSED else pytest.mark.slow) for n in sorted(CASES)]
)
def test_every_decomposed_op_has_a_rule_and_flops_stay(name: str) -> None:
    program, _ = exported(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decomposed = program.run_decompositions()
    assert untold(decomposed) == set()
    if name not in DATA_DEPENDENT:
        assert checked_flops(extract(decomposed)) == checked_flops(extract(program))
