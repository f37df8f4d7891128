"""A program as an fx module of its own over values: what compilers inside torch take.

The program's own `module()` is never called: it executes guards that a file's author may have written as code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from graphlab.fused import FUSED
from graphlab.lowering.base import Tensors
from graphlab.lowering.errors import BackendError
from graphlab.program import Program
from graphlab.rewriting.clone import graph_copy
from graphlab.rewriting.functional import functional
from graphlab.rewriting.pipeline import rewrite_from, run_passes
from graphlab.rewriting.regions import own_regions


def plain(program: Program) -> Program:
    """`program` without `graphlab::` operators, which nothing but graphlab knows; itself where it has none."""
    assert program.exported is not None
    if not any(node.target in FUSED for node in program.exported.graph.nodes):
        return program
    return run_passes(program, [rewrite_from("decompose-fused")]).program


def _functional(program: Program) -> ExportedProgram:
    """The program without fused operators and without writes in place."""
    exported = plain(program).exported
    assert exported is not None
    return functional(exported)


def flat_module(program: Program, values: Tensors, device: torch.device) -> torch.fx.GraphModule:
    """`program` as a GraphModule: inputs of the program in order, weights as attributes on `device`, results a tuple.

    Devices written into the graph (a capture on the meta device) become `device`. Tied weights, which are one tensor
    of the program, are one attribute. BackendError for an input that is no tensor and has no fixed value.
    """
    device = torch.empty(0, device=device).device  # "cuda" is not the "cuda:0" that asserts in the graph compare with
    exported = _functional(program)
    module = graph_copy(exported)
    specs = {getattr(spec.arg, "name", ""): spec for spec in exported.graph_signature.input_specs}
    held = {**exported.state_dict, **exported.constants}
    attributes = _Attributes(module, values, held, device)
    for node in list(module.graph.find_nodes(op="placeholder")):
        spec = specs.get(node.name)
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            _fix(node, value, program.name)
        elif spec is not None and spec.kind is not InputKind.USER_INPUT and spec.target is not None:
            attributes.put(node, spec.target)
    for graph in own_regions(module):
        _move(graph, device)
    output = module.graph.output_node()
    output.args = (tuple(output.args[0]),)  # type: ignore[arg-type]  # a list or tuple of nodes
    module.graph.lint()
    module.recompile()
    return module


class _Attributes:
    """Puts weights where placeholders were."""

    def __init__(
        self, module: torch.fx.GraphModule, values: Tensors, held: Mapping[str, Any], device: torch.device
    ) -> None:
        self.module, self.values, self.held, self.device = module, values, held, device
        self.known: dict[tuple[object, ...], str] = {}

    def put(self, node: torch.fx.Node, key: str) -> None:
        """An attribute with the value of `key` in the place of the placeholder `node`."""
        if node.users:
            with node.graph.inserting_before(node):
                made = node.graph.get_attr(self._name(key))
            made.meta = dict(node.meta)
            node.replace_all_uses_with(made)
        node.graph.erase_node(node)

    def _name(self, key: str) -> str:
        like = self.held[key]
        place = (like.untyped_storage()._cdata, like.storage_offset(), tuple(like.shape), like.stride(), like.dtype)
        if place not in self.known:
            name = f"weight_{len(self.known)}"
            self.module.register_buffer(name, self.values[key].detach().to(self.device))
            self.known[place] = name
        return self.known[place]


def _fix(node: torch.fx.Node, value: Any, name: str) -> None:
    """An input that is a number, text or nothing was fixed by the capture."""
    if not (value is None or isinstance(value, (bool, int, float, str))):
        raise BackendError(f"input {node.name} of {name} is a {type(value).__name__}, only tensors can be passed")
    for user in list(node.users):
        user.args = torch.fx.map_arg(user.args, lambda n: value if n is node else n)
        user.kwargs = torch.fx.map_arg(user.kwargs, lambda n: value if n is node else n)
    node.graph.erase_node(node)


def _move(graph: torch.fx.Graph, device: torch.device) -> None:
    """Devices in `graph` become `device`. Its example values, which may lie on the meta device, are left out."""
    for node in graph.nodes:
        node.meta.pop("val", None)
        node.args = _replaced(node.args, device)
        node.kwargs = _replaced(node.kwargs, device)


def _replaced(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.device):
        return device
    if isinstance(value, tuple):
        return tuple(_replaced(item, device) for item in value)
    if isinstance(value, Mapping):
        return {key: _replaced(item, device) for key, item in value.items()}
    return value
