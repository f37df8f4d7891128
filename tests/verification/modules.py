"""Small modules and edits of their captured graphs by hand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import ExportGraphSignature, InputKind, InputSpec, TensorArgument

import graphlab
from graphlab.program import Program
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.sources.extract import extract


class Attention(nn.Module):
    """One head group written out, with a norm, a bias and a residual; zero biases at initialisation."""

    def __init__(self, dim: int = 8, heads: int = 2, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.out = nn.Linear(dim, dim)
        self.heads = heads
        for linear in (self.to_q, self.to_k, self.to_v, self.out):
            nn.init.zeros_(linear.bias)
        self.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = x.shape
        h = self.norm(x)
        q, k, v = (p(h).view(batch, tokens, self.heads, -1).transpose(1, 2) for p in (self.to_q, self.to_k, self.to_v))
        scores = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5)
        mixed = scores.softmax(-1) @ v
        return x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, -1))


def captured(module: nn.Module, *args: torch.Tensor, dynamic: Any = "auto") -> Program:
    return graphlab.capture(module.eval(), args, dynamic=dynamic)


def edited(program: Program, edit: Callable[[torch.fx.Graph], None]) -> Program:
    """`program` after `edit` of a copy of its graph."""
    assert program.exported is not None
    exported = copy.copy(program.exported)
    module = copy.deepcopy(program.exported.graph_module)
    edit(module.graph)
    module.graph.eliminate_dead_code()
    exported._graph_module = module
    return replace(program, graph=extract(exported), exported=exported)


def find(graph: torch.fx.Graph, name: str) -> torch.fx.Node:
    return next(node for node in graph.nodes if node.name == name)


def call(graph: torch.fx.Graph, at: torch.fx.Node, target: Any, *args: Any, name: str, **kwargs: Any) -> torch.fx.Node:
    """A new node before `at` with the value of the node it stands for (`at`)."""
    with graph.inserting_before(at):
        node = graph.create_node("call_function", target, args, kwargs, name=name)
    node.meta.update(at.meta)
    return node


def with_weight(program: Program, recipe: NewTensor) -> Program:
    """`program` with the unused weight of `recipe` as its first placeholder."""
    exported = program.exported
    assert exported is not None
    with torch.no_grad():
        tensor = nn.Parameter(recipe.make({key: exported.state_dict[key].detach() for key in recipe.origins}))
    fresh, module = copy.copy(exported), copy.deepcopy(exported.graph_module)
    first = next(iter(module.graph.nodes))
    with module.graph.inserting_before(first):
        node = module.graph.placeholder(f"p_{recipe.key}")
    fake = first.meta["val"].fake_mode
    node.meta["val"] = fake.from_tensor(tensor, static_shapes=True)
    spec = InputSpec(InputKind.PARAMETER, TensorArgument(name=node.name), recipe.key)
    signature = exported.graph_signature
    fresh._graph_module, fresh._state_dict = module, {**exported.state_dict, recipe.key: tensor}
    fresh._graph_signature = ExportGraphSignature([spec, *signature.input_specs], list(signature.output_specs))
    return replace(program, graph=extract(fresh), exported=fresh)
