"""Roles come from data flow: the same with module names and without."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from graphlab.facts import ROLES
from graphlab.models import find_model
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.sources.module import capture


def unet() -> Program:
    from graphlab.sources.arguments import example_arguments

    workload = find_model("stable-diffusion-v1-5-tiny").workload()
    stage = workload.stage("unet")
    assert stage.build is not None
    return capture(stage.build(), (), example_arguments(stage, {**workload.values(), "batch": 2}), False)


@pytest.fixture(scope="module")
def program() -> Program:
    return unet()


def roles(program: Program) -> dict[str, str]:
    return dict(Facts(program.graph, dict(program.graph.symbols)).result("roles"))


def nameless(program: Program) -> Program:
    """The same graph with module stacks, sources, parameter keys and input names lost."""
    renamed = {node.name: f"arg{i}" for i, node in enumerate(program.graph.nodes) if node.kind != "call"}

    def ref(value):  # type: ignore[no-untyped-def] # arguments are of any kind
        from graphlab.graph import Ref

        if isinstance(value, Ref):
            return Ref(renamed.get(value.name, value.name))
        return tuple(map(ref, value)) if isinstance(value, tuple) else value

    nodes = tuple(
        replace(
            node,
            name=renamed.get(node.name, node.name),
            target=node.target if node.kind == "call" else renamed[node.name],
            args=ref(node.args),
            kwargs=tuple((key, ref(value)) for key, value in node.kwargs),
            modules=(),
            source="",
        )
        for node in program.graph.nodes
    )
    graph = replace(program.graph, nodes=nodes, results=tuple(renamed.get(r, r) for r in program.graph.results))
    return replace(program, graph=graph, exported=None)


def test_names_do_not_matter(program: Program) -> None:
    assert roles(nameless(program)) == roles(program)


def test_attention_does_not_need_names_either(program: Program) -> None:
    def sites(p: Program) -> list[tuple[object, ...]]:
        found = Facts(p.graph, dict(p.graph.symbols)).result("attention")
        return [(s.node, s.kind, s.axis, s.heads, s.causal) for s in found]

    assert sites(nameless(program)) == sites(program)


def test_roles_agree_with_the_module_names(program: Program) -> None:
    """Where diffusers' own names say what a projection is for, data flow says the same."""
    found = roles(program)
    weighted = {n.name: n for n in program.graph.calls if n.target in ("aten.linear.default", "aten.conv2d.default")}
    for name, node in weighted.items():
        path = node.modules[-1][0]
        if ".attn" in path:
            assert found[name] == "attention_projection", path
        elif ".ff." in path:
            assert found[name] == "feed_forward", path
        elif "time_emb" in path or path.startswith("time_embedding"):
            assert found[name] == "time_embedding", path
        elif path in ("conv_in", "conv_out"):
            assert found[name] == "input_output", path
        elif "resnets" in path:
            assert found[name] == "residual_block", path
    assert set(found.values()) <= set(ROLES)
    assert torch.is_grad_enabled()
