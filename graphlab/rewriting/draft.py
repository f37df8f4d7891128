"""`Draft`: a program being rewritten. Its graph may be edited; the weights are the original's, never written into."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting import fake
from graphlab.rewriting.clone import assemble, graph_copy
from graphlab.rewriting.functional import functional
from graphlab.rewriting.record import saved_history, with_history
from graphlab.rewriting.result import Change, Make, NewTensor, RewriteResult, Skip
from graphlab.sources.extract import extract, source_line

Node: TypeAlias = torch.fx.Node
Size: TypeAlias = "int | torch.fx.Node"

_PLACE = ("nn_module_stack", "stack_trace", "source_fn_stack")
_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


class Draft:
    """A private copy of a program's graph with tools to edit it and a record of what was done.

    `graph` is torch's: ATen operators, `node.meta["val"]` a fake tensor, sizes that depend on the inputs as
    `sym_size` nodes. Nothing in it writes in place. Nodes that stay keep their names; new ones get names the graph
    never had. `pass_name` is who is editing.
    """

    def __init__(self, program: Program) -> None:
        if program.exported is None:
            raise GraphlabError(
                f"{program.name} has no exported program behind it: it came from the cache of captures",
                hint="capture it without the cache",
            )
        self.program = program
        self.origin = functional(program.exported)
        self.module = graph_copy(self.origin)
        self.graph = self.module.graph
        self.mode = fake.mode_of(self.graph)
        self.pass_name = ""
        self.changes: list[Change] = []
        self.skips: list[Skip] = []
        self.new_tensors: dict[str, NewTensor] = {}
        self.details: dict[str, Any] = {}
        self.specs = {spec.arg.name: spec for spec in self.origin.graph_signature.input_specs}
        self.state: dict[str, torch.Tensor] = dict(self.origin.state_dict)
        self.constants: dict[str, Any] = dict(self.origin.constants)
        self.history: list[str] = list(program.history or saved_history(program.exported))
        self._dropped: list[str] = []
        self._sizes: dict[tuple[Node, int], Node] = {}

    # What is there

    def calls(self, *targets: Any) -> Iterator[Node]:
        """The calls of `targets` (of anything without them) in execution order; erased while iterating is fine."""
        for node in list(self.graph.nodes):
            if node.op == "call_function" and (not targets or node.target in targets) and not node._erased:
                yield node

    def weight_key(self, node: Node) -> str | None:
        """The key of the weight that `node` is; None for anything else."""
        spec = self.specs.get(node.name) if node.op == "placeholder" else None
        return spec.target if spec is not None and spec.kind in _WEIGHTS else None

    def weight(self, node: Node) -> torch.Tensor | None:
        """The tensor behind the weight `node`, perhaps on the meta device; None when `node` is no weight."""
        key = self.weight_key(node)
        if key is None:
            return None
        value = self.state.get(key, self.constants.get(key))
        return value if isinstance(value, torch.Tensor) else None

    # Making nodes

    def call(self, target: Any, *args: Any, at: Node, **kwargs: Any) -> Node:
        """A new call before `at`, with its fake value and the module stack and source line of `at`.

        GraphlabError when the operator does not take the arguments.
        """
        value = fake.evaluate(self.mode, target, args, kwargs)
        with self.graph.inserting_before(at):
            node = self.graph.call_function(target, args, kwargs)
        kept: dict[str, Any] = {
            key: at.meta[key] for key in ("nn_module_stack", "stack_trace", "source_fn_stack") if key in at.meta
        }
        node.meta.update(kept, val=value)
        return node

    def item(self, source: Node, index: int, *, at: Node) -> Node:
        """Result `index` of an operator with several."""
        return self.call(operator.getitem, source, index, at=at)

    def size(self, node: Node, dim: int) -> Size:
        """The size of axis `dim` of `node` (from the left or the right): an int, or a node that reads it."""
        value = node.meta["val"].shape[dim]
        if isinstance(value, int):
            return value
        if value.node.expr.is_Integer:
            return int(value.node.expr)
        dim %= node.meta["val"].dim()
        read = torch.ops.aten.sym_size.int
        known = self._sizes.get((node, dim))
        if known is not None and not known._erased:
            return known
        after = node.next
        while node.op == "placeholder" and after.op == "placeholder":
            after = after.next
        self._sizes[node, dim] = self.call(read, node, dim, at=after)
        return self._sizes[node, dim]

    def shape(self, node: Node) -> list[Size]:
        """`size` of every axis of `node`."""
        return [self.size(node, dim) for dim in range(node.meta["val"].dim())]

    def product(self, sizes: Sequence[Size], *, at: Node) -> Size:
        """The product of `sizes`, as an int or a node before `at`."""
        total: Size = 1
        for size in sizes:
            if isinstance(total, int) and isinstance(size, int):
                total = total * size
            elif isinstance(total, int) and total == 1:
                total = size
            else:
                total = self.call(operator.mul, total, size, at=at)
        return total

    def add_weight(self, key: str, origins: Sequence[str], make: Make) -> Node:
        """A placeholder for a new weight `make({origin: tensor})`, computed once here.

        The tensor is a parameter where the first origin is one. Weights on the meta device stay there.
        """
        if key in self.state or key in self.constants:
            raise GraphlabError(f"the program already has a weight {key}")
        sources = {origin: self.state.get(origin, self.constants.get(origin)) for origin in origins}
        missing = [origin for origin, tensor in sources.items() if not isinstance(tensor, torch.Tensor)]
        if missing:
            raise GraphlabError(f"there is no weight {missing[0]} to make {key} of")
        with torch.no_grad():
            made = make({k: _plain(t) for k, t in sources.items() if isinstance(t, torch.Tensor)})
        first = self.state.get(origins[0])
        trained = isinstance(first, torch.nn.Parameter)
        tensor = torch.nn.Parameter(made, requires_grad=False) if trained else made
        self.state[key] = tensor
        self.new_tensors[key] = NewTensor(key, made.numel() * made.element_size(), tuple(origins), make)
        return self._placeholder(key, tensor, trained=trained)

    def _placeholder(self, key: str, tensor: torch.Tensor, *, trained: bool) -> Node:
        before = self._first(trained)
        with self.graph.inserting_before(before):
            prefix = "p_" if trained else "b_"
            node = self.graph.placeholder(prefix + key.replace(".", "_").replace("-", "_"))
        node.target = node.name
        with self.mode:
            fake_value = torch.empty_strided(
                tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device=tensor.device
            )
        node.meta["val"] = fake_value
        kind = InputKind.PARAMETER if trained else InputKind.BUFFER
        self.specs[node.name] = InputSpec(kind, TensorArgument(name=node.name), key, None if trained else True)
        return node

    def _first(self, trained: bool) -> Node:
        """Where a new weight goes: parameters come first, then buffers, then what the caller passes."""
        nodes = self.graph.find_nodes(op="placeholder")
        kinds = {InputKind.PARAMETER} if trained else {InputKind.PARAMETER, InputKind.BUFFER}
        return next((n for n in nodes if self.specs[n.name].kind not in kinds), self._first_call())

    def _first_call(self) -> Node:
        first: Node = next(node for node in self.graph.nodes if node.op != "placeholder")
        return first

    # Changing

    def replace(self, old: Node, new: Node, why: str) -> None:
        """Every use of `old` reads `new` instead; records the change and erases what nobody reads any more.

        GraphlabError when shape or dtype differ: a rewrite keeps both.
        """
        self.replace_all({old: new}, why)

    def replace_all(self, pairs: Mapping[Node, Node], why: str) -> None:
        """`replace` of several values by one change: of an operator with several results, or of siblings."""
        for old, new in pairs.items():
            self._check_same(old, new)
        first = next(iter(pairs))
        values = tuple((old.name, new.name) for old, new in pairs.items())
        self.changes.append(Change(self.pass_name, values, why, *where(first)))
        for old, new in pairs.items():
            old.replace_all_uses_with(new, propagate_meta=False)
        for old in pairs:
            self.erase_dead(old)

    def _check_same(self, old: Node, new: Node) -> None:
        before, after = old.meta.get("val"), new.meta.get("val")
        if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
            if type(before) is not type(after):
                raise GraphlabError(
                    f"{self.pass_name} replaces {old.name} by {new.name}, which is another kind of value"
                )
            return
        if not fake.same_shape(before, after) or before.dtype != after.dtype:
            raise GraphlabError(
                f"{self.pass_name} replaces {old.name}, {described(before)}, by {new.name}, {described(after)}"
            )

    def erased(self, nodes: Sequence[Node], why: str) -> None:
        """Records that `nodes`, which nobody reads, were taken out, and takes them out."""
        first = nodes[0]
        self.changes.append(Change(self.pass_name, tuple((n.name, "") for n in nodes), why, *where(first)))
        for node in nodes:
            self.erase_dead(node)

    def erase_dead(self, node: Node) -> None:
        """Erases `node` and what only it read, as long as nobody reads them; placeholders stay until `finish`."""
        pending = [node]
        while pending:
            item = pending.pop()
            if item._erased or item.users or item.op in ("placeholder", "output") or item.is_impure():
                continue
            pending.extend(item.all_input_nodes)
            self.graph.erase_node(item)

    def skip(self, node: Node, why: str) -> None:
        """Records that `node` stays as it is, and why."""
        self.skips.append(Skip(self.pass_name, node.name, why, *where(node)))

    # Handing over

    def check(self) -> None:
        """GraphlabError, naming the pass, when the graph is broken or its results are not what they were."""
        try:
            self.graph.lint()
        except Exception as error:  # torch raises RuntimeError and ValueError with the node's name
            raise GraphlabError(f"{self.pass_name} left a broken graph: {error}") from error
        before = self.origin.graph.output_node().args[0]
        after = self.graph.output_node().args[0]
        assert isinstance(before, (tuple, list))
        if not isinstance(after, (tuple, list)) or len(before) != len(after):
            raise GraphlabError(f"{self.pass_name} changed the number of results")
        for old, new in zip(before, after, strict=True):
            if isinstance(old, Node) and isinstance(new, Node):
                self._check_same(old, new)
            elif old != new:
                raise GraphlabError(f"{self.pass_name} changed the result {old} to {new}")

    def finish(self, history: Sequence[str] = ()) -> RewriteResult:
        """The rewritten program with the account of it; the draft is spent."""
        self.check()
        used_before = {node.name for node in self.origin.graph.find_nodes(op="placeholder") if node.users}
        for node in self.graph.find_nodes(op="placeholder"):
            if not node.users and self.weight_key(node) and (node.name in used_before or not self._original(node)):
                self._drop(node)
        inputs = [self.specs[node.name] for node in self.graph.find_nodes(op="placeholder")]
        new = {key: made for key, made in self.new_tensors.items() if key in self.state}
        entries = [*self.history, *history]
        with_history(self.graph, entries)
        exported = assemble(self.origin, self.module, inputs, self.state, self.constants)
        program = replace(self.program, graph=extract(exported), exported=exported, history=tuple(entries))
        return RewriteResult(
            program,
            tuple(self.changes),
            tuple(self.skips),
            tuple(new.values()),
            tuple(self._dropped),
            details=tuple(self.details.items()),
        )

    def _original(self, node: Node) -> bool:
        return self.weight_key(node) not in self.new_tensors

    def _drop(self, node: Node) -> None:
        key = self.specs.pop(node.name).target
        self.graph.erase_node(node)
        assert key is not None
        if any(spec.target == key for spec in self.specs.values()):
            return
        self.state.pop(key, None)
        self.constants.pop(key, None)
        if key not in self.new_tensors:
            self._dropped.append(key)


def where(node: Node) -> tuple[str, str]:
    """(path of the module, "file.py:line") that `node` comes from; "" for what is not known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else "", source_line(node.meta.get("stack_trace") or "")


def described(value: torch.Tensor) -> str:
    """Shape and dtype in words, for messages."""
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """A weight as a plain tensor; those of a program exported from fake tensors have no values: meta."""
    if isinstance(tensor, FakeTensor):
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return tensor.detach()
