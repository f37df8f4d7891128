"""One part of a split program as an ExportedProgram of its own, over the weights it reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy
import torch
from torch.export import ExportedProgram
from torch.export.exported_program import ModuleCallEntry, ModuleCallSignature
from torch.export.graph_signature import InputKind, InputSpec, OutputSpec, TensorArgument
from torch.utils import _pytree

from graphlab.hoisting.boundary import hint
from graphlab.hoisting.guards import part_guards
from graphlab.hoisting.levels import free_symbols, is_assertion, is_size
from graphlab.hoisting.sizes import Sizes, plain_axes
from graphlab.program import Program
from graphlab.rewriting import fake
from graphlab.rewriting.clone import _share_attribute, assemble, user_result
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.record import with_history
from graphlab.sources.extract import extract

Node = torch.fx.Node


@dataclass(frozen=True, slots=True)
class Part:
    """A part: its program, the inputs it takes for their shape only, and {node of the whole: node here}."""

    program: Program
    shape_only: tuple[str, ...]
    known: dict[Node, Node]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of what the caller passes, in order."""
        return tuple(node.name for node in self.program.graph.inputs)


@dataclass
class PartBuilder:
    """Builds the part that makes `results` of the inputs `given` (placeholders of the whole, or values of it)."""

    draft: Draft
    name: str
    given: Sequence[Node]
    results: Any
    body: Collection[Node]
    """What the part computes, weights among it; sizes are left out."""
    entry: str
    keep_outputs: bool = False
    """Whether the results are those of the whole, in its calling convention."""
    known: dict[Node, Node] = field(default_factory=dict)
    moved: set[Node] = field(default_factory=set)
    """Nodes of the whole whose memory order is another here."""

    def build(self) -> Part:
        """The part; GraphlabError when a size in it cannot be told from its inputs."""
        graph = torch.fx.Graph()
        module = torch.fx.GraphModule(self.draft.module, torch.fx.Graph())
        weights = [n for n in self.draft.graph.find_nodes(op="placeholder") if n in self.body]
        inputs, shape_only = self._inputs()
        for node in weights:
            self.known[node] = _named(graph.node_copy(node), node)
        for node in inputs:
            self.known[node] = self._placeholder(graph, node)
        sizes = Sizes(graph, self.known, {n.name for n in self.draft.graph.nodes})
        sizes.show(self.known[node] for node in inputs)
        self._copy(graph, module, sizes)
        self._output(graph, sizes)
        module._graph = graph
        graph.owning_module = module
        module.meta.update(self.draft.module.meta)
        exported = self._assemble(module, weights, inputs)
        history = (*self.draft.history, self.entry)
        program = Program(self.name, extract(exported), exported, self.draft.program.notes, history)
        return Part(program, tuple(n.name for n in shape_only), self.known)

    def _inputs(self) -> tuple[list[Node], list[Node]]:
        """(what is passed, original inputs first; those among it that only show a size)."""
        place = {node: index for index, node in enumerate(self.draft.graph.nodes)}
        given = sorted(self.given, key=lambda n: place[n])
        missing = self._symbols() - {s for node in given for s, _ in plain_axes(node.meta["val"])}
        shape_only: list[Node] = []
        for node in self.draft.graph.find_nodes(op="placeholder"):
            shown = {symbol for symbol, _ in plain_axes(node.meta.get("val"))}
            if shown & missing and node not in given:
                shape_only.append(node)
                missing -= shown
        inputs = sorted([*given, *shape_only], key=lambda n: (n.op != "placeholder", place[n]))
        return inputs, shape_only

    def _symbols(self) -> set[sympy.Symbol]:
        found: set[sympy.Symbol] = set()
        for node in (*self.body, *self.given):
            found |= free_symbols(node.meta.get("val"))
            for arg in node.all_input_nodes if node in self.body else ():
                found |= free_symbols(arg.meta["val"]) if is_size(arg) else set()
        return found

    def _placeholder(self, graph: torch.fx.Graph, node: Node) -> Node:
        made = _named(graph.placeholder(node.name), node)
        made.meta["val"] = self._handed_over(node)
        return made

    def _handed_over(self, node: Node) -> Any:
        """The fake value of an input: what another part made comes in contiguous memory, views of it do not cross."""
        value = node.meta["val"]
        if node.op == "placeholder" or value.is_contiguous():
            return value
        self.moved.add(node)
        with fake.quietly(self.draft.mode):
            return torch.empty(value.shape, dtype=value.dtype, device=value.device)

    def _value(self, node: Node, made: Node) -> Any:
        """The fake value of `made`, a copy of `node`: other than there only in strides, downstream of a moved input."""
        value = node.meta.get("val")
        if not self.moved & set(node.all_input_nodes) or value is None:
            return value
        found = fake.evaluate(self.draft.mode, made.target, made.args, dict(made.kwargs))
        if isinstance(found, torch.Tensor) and found.stride() == value.stride():
            return value
        self.moved.add(node)
        return found

    def _copy(self, graph: torch.fx.Graph, module: torch.fx.GraphModule, sizes: Sizes) -> None:
        for node in self.draft.graph.nodes:
            if node in self.known or not (node in self.body or self._asserted(node)):
                continue
            if node.op == "get_attr":
                _share_attribute(self.draft.module, module, str(node.target))
            made = graph.node_copy(node, lambda n: sizes.of(n) if is_size(n) else self.known[n])
            self.known[node] = _named(made, node)
            made.meta = dict(node.meta)
            if "val" in node.meta:
                made.meta["val"] = self._value(node, made)

    def _asserted(self, node: Node) -> bool:
        """Whether `node` checks something that is computed here."""
        tensors = [arg for arg in node.all_input_nodes if not is_size(arg)]
        return is_assertion(node) and bool(tensors) and all(arg in self.body for arg in tensors)

    def _output(self, graph: torch.fx.Graph, sizes: Sizes) -> None:
        def here(node: Node) -> Any:
            return sizes.of(node) if is_size(node) else self.known[node]

        results = torch.fx.map_arg(self.results, here)
        if not self.keep_outputs:
            results = tuple(self._contiguous(graph, node, sizes) for node in results)
        graph.output(results)

    def _contiguous(self, graph: torch.fx.Graph, node: Node, sizes: Sizes) -> Node:
        value = node.meta["val"]
        if value.is_contiguous():
            return node
        made = graph.create_node(
            "call_function", torch.ops.aten.contiguous.default, (node,), {}, name=sizes.fresh(f"{node.name}_copy")
        )
        made.meta.update(node.meta)
        with fake.quietly(self.draft.mode):
            made.meta["val"] = torch.empty(value.shape, dtype=value.dtype, device=value.device)
        return made

    def _assemble(self, module: torch.fx.GraphModule, weights: list[Node], inputs: list[Node]) -> ExportedProgram:
        draft = self.draft
        specs = [draft.specs[node.name] for node in weights]
        specs += [InputSpec(InputKind.USER_INPUT, TensorArgument(name=node.name), None) for node in inputs]
        keys = {str(draft.specs[node.name].target) for node in weights}
        outputs: list[OutputSpec] | None = None
        if not self.keep_outputs:
            outputs = [user_result(node) for node in module.graph.output_node().args[0]]  # type: ignore[union-attr,arg-type]  # ours: a tuple of nodes
        with_history(module.graph, (*draft.history, self.entry), draft.origin.graph)
        exported = assemble(
            draft.origin,
            module,
            specs,
            {key: value for key, value in draft.state.items() if key in keys},
            {key: value for key, value in draft.constants.items() if key in keys},
            outputs,
            call=self._call(inputs),
            examples=((), {node.name: _example(node.meta["val"]) for node in inputs}),
        )
        shown = {s for node in inputs for s in free_symbols(node.meta["val"])}
        exported._range_constraints = {s: r for s, r in exported.range_constraints.items() if s in shown}
        exported._guards_code = part_guards(draft.origin, inputs)
        return exported

    def _call(self, inputs: list[Node]) -> list[ModuleCallEntry]:
        """Inputs are passed by name; results come as a tuple, or as the whole program returns them."""
        root = self.draft.origin.module_call_graph[0].signature
        names = [node.name for node in inputs]
        in_spec = _pytree.tree_structure(((), dict.fromkeys(names, 0)))
        out_spec = _pytree.tree_structure(tuple(range(len(self.results))))
        if self.keep_outputs and root is not None:
            out_spec = root.out_spec
        signature = ModuleCallSignature([], [], in_spec, out_spec, forward_arg_names=names)
        return [replace(self.draft.origin.module_call_graph[0], fqn="", signature=signature)]


def _named(made: Node, node: Node) -> Node:
    """`made` under the name of `node`: torch renames what is called like something of Python's ("input")."""
    made.name = node.name
    return made


def _example(value: torch.Tensor) -> torch.Tensor:
    """A tensor of the example's shape without memory."""
    return torch.empty([hint(size) for size in value.shape], dtype=value.dtype, device="meta")
