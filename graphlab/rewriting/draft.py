"""`Draft`: a program being rewritten. Its graph may be edited; the weights are the original's, never written into."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, TensorArgument

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting import fake
from graphlab.rewriting.change import Change, Skip
from graphlab.rewriting.clone import assemble, graph_copy
from graphlab.rewriting.contract import check_graph
from graphlab.rewriting.functional import functional
from graphlab.rewriting.new_tensor import InTurn, Make, NewTensor, Told, needed
from graphlab.rewriting.purity import removable
from graphlab.rewriting.record import saved_history, with_history
from graphlab.rewriting.result import RewriteResult
from graphlab.sources.extract import extract, source_line

Node: TypeAlias = torch.fx.Node
Size: TypeAlias = "int | torch.fx.Node"

_PLACE = ("nn_module_stack", "stack_trace", "source_fn_stack")
_PREFIX = {InputKind.PARAMETER: "p_", InputKind.BUFFER: "b_", InputKind.CONSTANT_TENSOR: "c_"}
_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
_MUTATIONS = (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION)


class Draft:
    """A private copy of a program's graph with tools to edit it and a record of what was done.

    `graph` is torch's: ATen operators, `node.meta["val"]` a fake tensor, sizes that depend on the inputs as
    `sym_size` nodes. Nothing in it writes in place. Nodes that stay keep their names; new ones get names the graph
    never had. `pass_name` is who is editing, `blamed` what errors of its recipes call it where it is not graphlab's,
    `written` the keys of the weights that a call of the program writes.
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
        self.blamed = ""
        self.changes: list[Change] = []
        self.skips: list[Skip] = []
        self.new_tensors: dict[str, NewTensor] = {}
        self.details: dict[str, Any] = {}
        self.reweighting: list[str] = []  # names of the passes that made or changed weights, once a weight
        self.specs = {spec.arg.name: spec for spec in self.origin.graph_signature.input_specs}
        self.state: dict[str, torch.Tensor] = dict(self.origin.state_dict)
        self.constants: dict[str, Any] = dict(self.origin.constants)
        self.history: list[str] = list(program.history or saved_history(program.exported))
        self.written = frozenset(s.target for s in self.origin.graph_signature.output_specs if s.kind in _MUTATIONS)
        self._dropped: list[str] = []
        self._made: list[Node] = []
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

    def fixed_key(self, node: Node) -> str | None:
        """`weight_key` of a weight that no call of the program writes; None for a cache or running statistics too."""
        key = self.weight_key(node)
        return None if key in self.written else key

    def weight(self, node: Node) -> torch.Tensor | None:
        """The tensor behind the weight `node`, perhaps on the meta device; None when `node` is no weight."""
        key = self.weight_key(node)
        if key is None:
            return None
        value = self.state.get(key, self.constants.get(key))
        return value if isinstance(value, torch.Tensor) else None

    # Making nodes

    def call(self, target: Any, *args: Any, at: Node, value: Any = None, **kwargs: Any) -> Node:
        """A new call before `at`, with its fake value and the module stack and source line of `at`.

        `value` is the fake value where the caller knows better than the operator's own shape function.
        GraphlabError when the operator does not take the arguments.
        """
        if value is None:
            value = fake.evaluate(self.mode, target, args, kwargs)
        with self.graph.inserting_before(at):
            node = self.graph.call_function(target, args, kwargs)
        kept: dict[str, Any] = {
            key: at.meta[key] for key in ("nn_module_stack", "stack_trace", "source_fn_stack") if key in at.meta
        }
        node.meta.update(kept, val=value)
        self._made.append(node)
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
        given = {k: fake.plain(t) for k, t in sources.items() if isinstance(t, torch.Tensor)}
        made, make = self._first(key, make, given)
        first = self.state.get(origins[0])
        trained = isinstance(first, torch.nn.Parameter)
        tensor = torch.nn.Parameter(made, requires_grad=False) if trained else made
        self.state[key] = tensor
        self.new_tensors[key] = NewTensor(key, made.numel() * made.element_size(), tuple(origins), make)
        self.reweighting.append(self.pass_name)
        return self._placeholder(key, tensor, InputKind.PARAMETER if trained else InputKind.BUFFER)

    def add_constant(self, key: str, make: Make) -> Node:
        """A placeholder for a new constant tensor `make({})`, which depends on no weight, computed once here."""
        if key in self.state or key in self.constants:
            raise GraphlabError(f"the program already has a weight {key}")
        tensor, make = self._first(key, make, {})
        self.constants[key] = tensor
        self.new_tensors[key] = NewTensor(key, tensor.numel() * tensor.element_size(), (), make)
        return self._placeholder(key, tensor, InputKind.CONSTANT_TENSOR)

    def free_key(self, key: str) -> str:
        """`key`, or it with a number that makes it one the program does not have."""
        taken = self.state.keys() | self.constants.keys()
        return next(k for k in (key, *(f"{key}_{n}" for n in range(1, len(taken) + 2))) if k not in taken)

    def set_weights(self, keys: Sequence[str], make: Make, why: str) -> None:
        """Gives the weights `keys`, tied ones that stay so, the value `make({first key: its tensor})`; recorded.

        Keys, shape and dtype stay, the program's own tensors are not written into. For passes that mean to change
        values (`exact = False`). GraphlabError when a key is no weight, or `make` returns another shape or dtype, or
        the tensor it was given.
        """
        homes = {key: self.state if key in self.state else self.constants for key in keys}
        first = homes[keys[0]].get(keys[0])
        missing = [key for key, home in homes.items() if not isinstance(home.get(key), torch.Tensor)]
        if missing or not isinstance(first, torch.Tensor):
            raise GraphlabError(f"the program has no weight {missing[0]} to change")
        made, make = self._first(keys[0], make, {keys[0]: fake.plain(first)})
        if made.shape != first.shape or made.dtype != first.dtype:
            raise GraphlabError(f"{keys[0]} is {described(first)}, its new value {described(made)}")
        if not made.is_meta and made.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() != 0:
            raise GraphlabError(f"the new value of {keys[0]} is written into the old one")
        trained = [t.requires_grad for t in (home[k] for k, home in homes.items()) if isinstance(t, torch.nn.Parameter)]
        parameter = torch.nn.Parameter(made, requires_grad=trained[0]) if trained else made
        for key, home in homes.items():
            home[key] = parameter if isinstance(home[key], torch.nn.Parameter) else made
            nbytes = made.numel() * made.element_size() if key == keys[0] else 0  # the others are the same memory
            self._remake(key, nbytes, make)
        self.reweighting.append(self.pass_name)
        nodes = [node for node in self.graph.find_nodes(op="placeholder") if self.weight_key(node) in keys]
        values = tuple((node.name, node.name) for node in nodes)
        self.changes.append(Change(self.pass_name, values, why, keys[0].rpartition(".")[0]))

    def _first(self, key: str, make: Make, given: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, Make]:
        """What `make` makes of `given`, and the recipe to keep: it also runs long after this pass, on other weights."""
        told = Told(self.blamed, key, make) if self.blamed else make
        with torch.no_grad():
            made = told(given)
        return made, replace(told, shape=tuple(made.shape)) if isinstance(told, Told) else told

    def _remake(self, key: str, nbytes: int, make: Make) -> None:
        """Records `make` for the weight `key`, after what it was made by before in this draft."""
        known = self.new_tensors.get(key)
        if known is None:
            self.new_tensors[key] = NewTensor(key, nbytes, (key,), make)
            return
        makes = known.make.makes if isinstance(known.make, InTurn) else (known.make,)
        self.new_tensors[key] = replace(known, make=InTurn(key, (*makes, make)))

    def _placeholder(self, key: str, tensor: torch.Tensor, kind: InputKind) -> Node:
        with self.graph.inserting_before(self._first_after(kind)):
            node = self.graph.placeholder(_PREFIX[kind] + re.sub(r"\W", "_", key))
        node.target = node.name
        with self.mode:
            fake_value = torch.empty_strided(
                tuple(tensor.shape), tensor.stride(), dtype=tensor.dtype, device=tensor.device
            )
        node.meta["val"] = fake_value
        persistent = True if kind is InputKind.BUFFER else None
        self.specs[node.name] = InputSpec(kind, TensorArgument(name=node.name), key, persistent)
        return node

    def _first_after(self, kind: InputKind) -> Node:
        """Where a new weight goes: parameters come first, then buffers, constants, then what the caller passes."""
        kinds = _WEIGHTS[: _WEIGHTS.index(kind) + 1]
        nodes = self.graph.find_nodes(op="placeholder")
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
        self._made.clear()
        first = next(iter(pairs))
        values = tuple((old.name, new.name) for old, new in pairs.items())
        self.changes.append(Change(self.pass_name, values, why, *where(first)))
        for old, new in pairs.items():
            old.replace_all_uses_with(new, propagate_meta=False)
        for old in pairs:
            self.erase_dead(old)

    def rewire(self, node: Node, args: tuple[Any, ...], why: str) -> None:
        """`node` takes `args`, of which it makes the same value; records the change and erases what nobody reads."""
        read = node.all_input_nodes
        node.args = args
        self.changes.append(Change(self.pass_name, ((node.name, node.name),), why, *where(node)))
        for item in read:
            self.erase_dead(item)

    def _check_same(self, old: Node, new: Node) -> None:
        before, after = old.meta.get("val"), new.meta.get("val")
        if not isinstance(before, torch.Tensor) or not isinstance(after, torch.Tensor):
            if type(before) is not type(after):
                raise GraphlabError(
                    f"{self.pass_name} replaces {old.name} by {new.name}, which is another kind of value"
                )
            return
        if not fake.agree(before, after) or before.dtype != after.dtype:
            raise GraphlabError(
                f"{self.pass_name} replaces {old.name}, {described(before)}, by {new.name}, {described(after)}"
            )

    def erased(self, nodes: Sequence[Node], why: str) -> None:
        """Records that `nodes`, which nobody reads, were taken out, and takes them out, assertions too."""
        first = nodes[0]
        self.changes.append(Change(self.pass_name, tuple((n.name, "") for n in nodes), why, *where(first)))
        for node in nodes:
            if node._erased:
                continue
            read = node.all_input_nodes
            self.graph.erase_node(node)
            for item in read:
                self.erase_dead(item)

    def erase_dead(self, node: Node) -> None:
        """Erases `node` and what only it read, as long as nobody reads them; placeholders stay until `finish`."""
        pending = [node]
        while pending:
            item = pending.pop()
            if item._erased or item.users or not removable(item):
                continue
            pending.extend(item.all_input_nodes)
            self.graph.erase_node(item)

    def sweep(self) -> None:
        """Takes out the unread nodes a pass made for a change it then did not make."""
        for node in self._made:
            if not node._erased:
                self.erase_dead(node)
        self._made.clear()

    def skip(self, node: Node, why: str) -> None:
        """Records that `node` stays as it is, and why."""
        self.skips.append(Skip(self.pass_name, node.name, why, *where(node)))

    # Handing over

    def check(self, who: str | None = None) -> None:
        """GraphlabError, naming the pass (`who`), when the graph is broken, or inputs or results are other ones."""
        weights = {name for name, spec in self.specs.items() if spec.kind in _WEIGHTS}
        weights |= {spec.arg.name for spec in self.origin.graph_signature.input_specs if spec.kind in _WEIGHTS}
        who = who or f"pass {self.pass_name}"
        check_graph(who, self.origin.graph, self.graph, lambda node: node.name in weights, self._check_same)

    def finish(self, history: Sequence[str] = ()) -> RewriteResult:
        """The rewritten program with the account of it; the program given where nothing changed. The draft is spent."""
        self.check()
        details = tuple(self.details.items())
        if not self.changes:
            return RewriteResult(self.program, skips=tuple(self.skips), details=details)
        used_before = {node.name for node in self.origin.graph.find_nodes(op="placeholder") if node.users}
        for node in self.graph.find_nodes(op="placeholder"):
            if not node.users and self.fixed_key(node) and (node.name in used_before or not self._original(node)):
                self._drop(node)
        inputs = [self.specs[node.name] for node in self.graph.find_nodes(op="placeholder")]
        entries = [*self.history, *history]
        with_history(self.graph, entries, self.origin.graph)
        exported = assemble(self.origin, self.module, inputs, self.state, self.constants)
        program = replace(self.program, graph=extract(exported), exported=exported, history=tuple(entries))
        return RewriteResult(
            program,
            tuple(self.changes),
            tuple(self.skips),
            needed(self.new_tensors, self.state.keys() | self.constants.keys()),
            tuple(self._dropped),
            details=details,
        )

    def _original(self, node: Node) -> bool:
        return self._known(self.weight_key(node))

    def _known(self, key: str | None) -> bool:
        """Whether the program came with a weight `key`, whatever its value is now."""
        return key in self.origin.state_dict or key in self.origin.constants

    def _drop(self, node: Node) -> None:
        key = self.specs.pop(node.name).target
        self.graph.erase_node(node)
        assert key is not None
        if any(spec.target == key for spec in self.specs.values()):
            return
        self.state.pop(key, None)
        self.constants.pop(key, None)
        if self._known(key):
            self._dropped.append(key)


def where(node: Node) -> tuple[str, str]:
    """(path of the module, "file.py:line") that `node` comes from; "" for what is not known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]) if stack else "", source_line(node.meta.get("stack_trace") or "")


def described(value: torch.Tensor) -> str:
    """Shape and dtype in words, for messages."""
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
