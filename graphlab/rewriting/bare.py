"""Programs as files for other processes: the graph without its weights, which travel beside it."""

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
from graphlab.rewriting.regions import own_regions


def save_bare(program: Program, path: Path) -> None:
    """`program` at `path` as torch saves it: on the meta device, as if it had been captured there, without weights."""
    exported = program.exported
    assert exported is not None
    module = graph_copy(exported)
    for graph in own_regions(module):
        for node in graph.nodes:
            _to_meta(node)
    bare = assemble(
        exported,
        module,
        exported.graph_signature.input_specs,
        _shapes(exported.state_dict),
        _shapes(exported.constants),
        examples=_pytree.tree_map_only(torch.Tensor, _empty, exported.example_inputs),
    )
    _forget_classes(bare)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        torch.export.save(bare, path)


def _forget_classes(exported: torch.export.ExportedProgram) -> None:
    """Results as a plain tuple: the process that reads the file need not know the classes a library returns."""
    entry = exported.module_call_graph[0]
    if entry.signature is not None:
        leaves = entry.signature.out_spec.num_leaves
        entry.signature.out_spec = _pytree.tree_structure((0,) * leaves)


def _to_meta(node: torch.fx.Node) -> None:
    """Example values and devices in the arguments of `node`, a copy, are of the meta device from here on."""
    value = node.meta.get("val")
    if value is not None:
        with fake.quietly(fake.mode_of(node.graph)):
            node.meta["val"] = _pytree.tree_map_only(torch.Tensor, _empty, value)
    device = torch.device("meta")
    node.args, node.kwargs = _pytree.tree_map_only(torch.device, lambda _: device, (node.args, dict(node.kwargs)))


def _empty(value: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def held_tensors(program: Program) -> dict[str, torch.Tensor]:
    """{key: tensor, with or without values} of everything `program` holds."""
    assert program.exported is not None
    held = {**program.exported.state_dict, **program.exported.constants}
    return {key: value for key, value in held.items() if isinstance(value, torch.Tensor)}


def _shapes(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """`tensors` on the meta device; those that share memory still do."""
    known: dict[int, torch.Tensor] = {}
    found: dict[str, Any] = {}
    for key, value in tensors.items():
        if not isinstance(value, torch.Tensor) or value.is_meta:
            found[key] = value
            continue
        place = id(value)
        if place not in known:
            empty = _empty(value)
            trained = isinstance(value, torch.nn.Parameter)
            known[place] = torch.nn.Parameter(empty, requires_grad=value.requires_grad) if trained else empty
        found[key] = known[place]
    return found
