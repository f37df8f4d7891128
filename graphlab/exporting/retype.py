"""A program in another floating dtype: weights, inputs, results and dtypes written in it; islands stay in float32.

The cast is made on the FX graph and not on the ONNX model: there a dtype is an argument or follows from the arguments,
torch says itself what an operator returns, and names stay those the check compares values by. On ONNX operators every
attribute, constant and recorded type would have to be known by operator.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree

from graphlab.errors import GraphlabError
from graphlab.exporting.errors import ExportError
from graphlab.program import Program
from graphlab.rewriting import fake
from graphlab.rewriting.clone import assemble, graph_copy
from graphlab.rewriting.functional import functional
from graphlab.rewriting.record import saved_history, with_history
from graphlab.sources.extract import extract
from graphlab.symbolic import evaluate_text

Node = torch.fx.Node
aten = torch.ops.aten

HALVES = (torch.float16, torch.bfloat16)
_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def main_dtype(program: Program) -> str:
    """The dtype of most floating weights, of inputs where there are none: "float32", "float16", ..."""
    graph = program.graph
    counts: dict[str, int] = {}
    for spec in [node.out for node in graph.weights] or [node.out for node in graph.inputs]:
        if "float" in spec.dtype:
            counts[spec.dtype] = counts.get(spec.dtype, 0) + math.prod(
                evaluate_text(size, graph.symbols) for size in spec.shape
            )
    return max(counts, key=lambda name: counts[name], default="float32")


def retyped(program: Program, dtype: torch.dtype, islands: Collection[str] = ()) -> Program:
    """`program` with everything of half precision and of its main dtype in float32 for `dtype` float32; with everything
    of its main dtype in `dtype` otherwise, but for the nodes `islands`, which compute in float32 between casts.
    `program` itself where that changes nothing.

    Nodes keep their names. Weights whose dtype changes have no values: `Values` reads and casts them when it is given
    the program from before as base. ExportError for an island there is none of, a region of autocast, and an operator
    that does not take the dtype.
    """
    if program.exported is None:
        raise GraphlabError(f"{program.name} has no exported program behind it", hint="capture it without the cache")
    main = getattr(torch, main_dtype(program))
    old = frozenset({*HALVES, main} if dtype is torch.float32 else {main}) - {dtype}
    missing = sorted(set(islands) - {node.name for node in program.exported.graph.nodes})
    if missing:
        raise ExportError(f"{program.name} has no node {missing[0]} to keep in float32")
    if not islands and not (old & _dtypes(program.exported)):
        return program
    exported = functional(program.exported)
    made = _Retyping(exported, dict.fromkeys(old, dtype), frozenset(islands)).run()
    kept = f"; float32: {', '.join(sorted(islands))}" if islands else ""
    entries = [*(program.history or saved_history(exported)), f"in {str(dtype).removeprefix('torch.')}{kept}"]
    with_history(made.graph, entries, exported.graph)
    return replace(program, graph=extract(made), exported=made, history=tuple(entries))


def _dtypes(exported: ExportedProgram) -> set[torch.dtype]:
    values = [node.meta.get("val") for node in exported.graph.nodes]
    return {item.dtype for item in _pytree.tree_leaves(values) if isinstance(item, torch.Tensor)}


@dataclass
class _Retyping:
    """`to` is {dtype: what it becomes}."""

    origin: ExportedProgram
    to: Mapping[torch.dtype, torch.dtype]
    islands: frozenset[str]
    module: torch.fx.GraphModule = field(init=False)
    before: dict[Node, torch.dtype | None] = field(default_factory=dict)
    casts: dict[tuple[Node, torch.dtype], Node] = field(default_factory=dict)

    def run(self) -> ExportedProgram:
        self.module = graph_copy(self.origin)
        graph = self.module.graph
        self.mode = fake.mode_of(graph)
        for node in list(graph.nodes):
            value = node.meta.get("val")
            self.before[node] = value.dtype if isinstance(value, torch.Tensor) else None
            self._node(node)
        graph.lint()
        specs = self.origin.graph_signature.input_specs
        examples = _pytree.tree_map_only(torch.Tensor, self._example, self.origin.example_inputs)
        kept = {spec.target for spec in specs if spec.kind in _WEIGHTS}
        state, constants = (self._bare(held, kept) for held in (self.origin.state_dict, self.origin.constants))
        return assemble(self.origin, self.module, specs, state, constants, examples=examples)

    def _node(self, node: Node) -> None:
        if node.op == "placeholder":
            self._retype(node)
        elif node.op == "get_attr":
            self._attribute(node)
        elif node.op == "output":
            node.args = torch.fx.map_arg(node.args, lambda arg: self._as(arg, self._outside(arg)))
        elif node.op == "call_function":
            self._call(node)

    def _retype(self, node: Node) -> None:
        dtype = self._outside(node)
        if dtype is not None and dtype != self.before[node]:
            with fake.quietly(self.mode):
                node.meta["val"] = node.meta["val"].to(dtype)

    def _attribute(self, node: Node) -> None:
        value = _attribute(self.module, str(node.target))
        if isinstance(value, torch.nn.Module):
            raise ExportError(
                f"the program has a region ({node.name}) whose dtypes are its own", hint="leave --dtype out"
            )
        if isinstance(value, torch.Tensor) and value.dtype in self.to:
            raise ExportError(f"the tensor {node.target} is written into the graph", hint="leave --dtype out")

    def _call(self, node: Node) -> None:
        wide = node.name in self.islands
        if isinstance(node.meta.get("val"), (torch.Tensor, tuple, list)):
            node.args = torch.fx.map_arg(node.args, lambda arg: self._as(arg, self._wanted(arg, wide)))
            node.kwargs = torch.fx.map_arg(node.kwargs, lambda arg: self._as(arg, self._wanted(arg, wide)))
        node.args, node.kwargs = _pytree.tree_map_only(
            torch.dtype, lambda dtype: self._mapped(dtype, wide), (node.args, dict(node.kwargs))
        )
        self._say_dtype(node, wide)
        if any(isinstance(item, torch.Tensor) for item in _pytree.tree_leaves(node.meta.get("val"))):
            try:
                node.meta["val"] = fake.evaluate(self.mode, node.target, node.args, dict(node.kwargs))
            except GraphlabError as error:
                raise ExportError(f"node {node.name}: {error.message}", hint="leave --dtype out") from error

    def _say_dtype(self, node: Node, wide: bool) -> None:
        """A tensor that is made of nothing has torch's default dtype, which is float32 whatever the program's is."""
        target, dtype = node.target, self.before[node]
        if dtype is None or dtype not in self.to or not isinstance(target, torch._ops.OpOverload):
            return
        reads = any(self.before.get(arg) is not None for arg in node.all_input_nodes)
        if not reads and any(arg.name == "dtype" for arg in target._schema.arguments):
            node.kwargs = {**node.kwargs, "dtype": self._mapped(dtype, wide)}

    def _mapped(self, dtype: torch.dtype, wide: bool) -> torch.dtype:
        made = self.to.get(dtype, dtype)
        return torch.float32 if wide and made in HALVES else made

    def _outside(self, node: Node) -> torch.dtype | None:
        """The dtype that what `node` makes has for those who read it."""
        dtype = self.before[node]
        return None if dtype is None else self.to.get(dtype, dtype)

    def _wanted(self, node: Node, wide: bool) -> torch.dtype | None:
        dtype = self._outside(node)
        return torch.float32 if wide and dtype in HALVES else dtype

    def _as(self, node: Node, dtype: torch.dtype | None) -> Node:
        """`node`, or a cast of it to `dtype` behind it."""
        if dtype is None or node.meta["val"].dtype == dtype:
            return node
        if (node, dtype) not in self.casts:
            self.casts[node, dtype] = self._cast(node, dtype)
        return self.casts[node, dtype]

    def _cast(self, node: Node, dtype: torch.dtype) -> Node:
        graph = self.module.graph
        after = node.next
        while node.op == "placeholder" and after.op == "placeholder":
            after = after.next
        with graph.inserting_before(after):
            name = f"{node.name}_{str(dtype).removeprefix('torch.')}"
            made = graph.create_node("call_function", aten._to_copy.default, (node,), {"dtype": dtype}, name=name)
        value = fake.evaluate(self.mode, aten._to_copy.default, (node,), {"dtype": dtype})
        kept: dict[str, Any] = {key: node.meta[key] for key in ("nn_module_stack", "stack_trace") if key in node.meta}
        made.meta.update(kept, val=value)
        self.before[made] = dtype
        return made

    def _bare(self, held: Mapping[str, Any], kept: set[str | None]) -> dict[str, Any]:
        """`held` with tensors of another dtype now without values; those that are one tensor still are."""
        known: dict[int, Any] = {}
        return {key: known.setdefault(id(value), self._weight(value)) if key in kept else value
                for key, value in held.items()}  # fmt: skip

    def _weight(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype not in self.to:
            return value
        empty = torch.empty_strided(value.shape, value.stride(), dtype=self.to[value.dtype], device="meta")
        return torch.nn.Parameter(empty, requires_grad=False) if isinstance(value, torch.nn.Parameter) else empty

    def _example(self, value: torch.Tensor) -> torch.Tensor:
        if value.dtype not in self.to:
            return value
        return torch.empty_strided(value.shape, value.stride(), dtype=self.to[value.dtype], device="meta")


def _attribute(module: torch.nn.Module, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        found = getattr(found, part)
    return found
