"""The one place that builds an `ExportedProgram`: torch calls its constructor private, a test pins what is used."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ConstantArgument,
    ExportGraphSignature,
    InputSpec,
    OutputKind,
    OutputSpec,
    SymIntArgument,
    TensorArgument,
)


def graph_copy(program: ExportedProgram) -> torch.fx.GraphModule:
    """A copy of the graph of `program` in a module of its own; node names, metadata and submodules are kept."""
    graph = torch.fx.Graph()
    known: dict[torch.fx.Node, torch.fx.Node] = {}
    output = graph.graph_copy(program.graph, known, return_output_node=True)
    assert isinstance(output, tuple)
    graph.output(output[0]).meta = dict(output[1].meta)
    for old, new in known.items():
        new.name = old.name  # torch renames what is called like something of Python's ("input")
    module = torch.fx.GraphModule(program.graph_module, torch.fx.Graph())
    for node in program.graph.find_nodes(op="get_attr"):
        _share_attribute(program.graph_module, module, str(node.target))
    module._graph = graph  # not through the setter: code of a graph that is about to change need not be written
    graph.owning_module = module
    module.meta.update(program.graph_module.meta)
    return module


def _share_attribute(source: torch.nn.Module, target: torch.nn.Module, path: str) -> None:
    """`target` reads what `source` has at `path`."""
    *parents, last = path.split(".")
    for name in parents:
        source = getattr(source, name)
        if not hasattr(target, name):
            setattr(target, name, torch.nn.Module())
        target = getattr(target, name)
    setattr(target, last, getattr(source, last))


def assemble(
    like: ExportedProgram,
    module: torch.fx.GraphModule,
    inputs: Iterable[InputSpec],
    state: Mapping[str, torch.Tensor],
    constants: Mapping[str, Any],
    outputs: Iterable[OutputSpec] | None = None,
    *,
    call: list[Any] | None = None,
    examples: tuple[tuple[Any, ...], dict[str, Any]] | None = None,
) -> ExportedProgram:
    """An ExportedProgram over `module`'s graph with the sizes, guards and calling convention of `like`.

    `inputs` are the specs of the placeholders in order. `outputs` default to those of `like`, renamed after the graph's
    results. `call` and `examples` replace the calling convention and example inputs where the inputs are others.
    """
    results = module.graph.output_node().args[0]
    assert isinstance(results, (tuple, list))
    specs = list(outputs) if outputs is not None else list(like.graph_signature.output_specs)
    signature = ExportGraphSignature(list(inputs), [_renamed(s, r) for s, r in zip(specs, results, strict=True)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own tree specs are deprecated by torch
        program = ExportedProgram(
            root=module,
            graph=module.graph,
            graph_signature=signature,
            state_dict=dict(state),
            range_constraints=dict(like.range_constraints),
            module_call_graph=copy.copy(like.module_call_graph) if call is None else call,
            example_inputs=like.example_inputs if examples is None else examples,
            constants=dict(constants),
            verifiers=like.verifiers,
        )
    program._guards_code = list(getattr(like, "_guards_code", None) or ())
    return program


def _renamed(spec: OutputSpec, result: Any) -> OutputSpec:
    """`spec` for the graph's result `result`."""
    if not isinstance(result, torch.fx.Node):
        return OutputSpec(spec.kind, ConstantArgument(name="", value=result), spec.target)
    kind = TensorArgument if isinstance(result.meta["val"], torch.Tensor) else SymIntArgument
    return OutputSpec(spec.kind, kind(name=result.name), spec.target)


def user_result(node: torch.fx.Node) -> OutputSpec:
    """The spec of a result handed to the caller."""
    return OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(name=node.name), None)
