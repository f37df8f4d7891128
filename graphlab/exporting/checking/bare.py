"""A program as a file for another process: its graph, without its weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree

from graphlab.program import Program
from graphlab.rewriting import fake
from graphlab.rewriting.clone import assemble, graph_copy
from graphlab.rewriting.functional import functional


def save_bare(program: Program, path: Path) -> None:
    """`program` at `path` as `torch.export.save` writes it, as if it had been captured on the meta device."""
    assert program.exported is not None
    exported = functional(program.exported)  # regions that only switch gradients are inlined
    module = graph_copy(exported)
    for node in module.graph.nodes:
        _to_meta(node)
    examples = _pytree.tree_map_only(torch.Tensor, _empty, exported.example_inputs)
    state, constants = bare(exported.state_dict), bare(exported.constants)
    made = assemble(exported, module, exported.graph_signature.input_specs, state, constants, examples=examples)
    _forget_classes(made)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.export.save(made, path)


def _forget_classes(exported: torch.export.ExportedProgram) -> None:
    """Results as a plain tuple: the process that reads the file need not know the classes a library returns."""
    entry = exported.module_call_graph[0]
    if entry.signature is not None:
        leaves = entry.signature.out_spec.num_leaves
        entry.signature.out_spec = _pytree.tree_structure((0,) * leaves)


def bare(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """`tensors` on the meta device; those that are one tensor still are."""
    known: dict[int, torch.Tensor] = {}
    found: dict[str, Any] = {}
    for key, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            found[key] = value
        elif id(value) in known:
            found[key] = known[id(value)]
        else:
            empty = _empty(value)
            if isinstance(value, torch.nn.Parameter):
                empty = torch.nn.Parameter(empty, requires_grad=False)
            found[key] = known[id(value)] = empty
    return found


def _to_meta(node: torch.fx.Node) -> None:
    value = node.meta.get("val")
    if value is not None:
        with fake.quietly(fake.mode_of(node.graph)):
            node.meta["val"] = _pytree.tree_map_only(torch.Tensor, _empty, value)
    meta = torch.device("meta")
    node.args, node.kwargs = _pytree.tree_map_only(torch.device, lambda _: meta, (node.args, dict(node.kwargs)))


def _empty(value: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
