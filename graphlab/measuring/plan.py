"""An exported program as a flat list of calls on numbered slots: what the timed run executes.

The program's own `module()` is never called: it executes guards that a file's author may have written as code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx.immutable_collections import immutable_dict, immutable_list

from graphlab.errors import GraphlabError
from graphlab.graph import Graph
from graphlab.measuring.templates import Slot, Slots, resolver, slots_in


@dataclass(frozen=True, slots=True)
class Step:
    """One call. `run(slots)` looks its arguments up, calls `op`, stores the result and drops what nobody reads later.

    `name` is its node in the stage's graph; None for size arithmetic, which that graph leaves out. `frees` are the
    slots `run` empties.
    """

    name: str | None
    op: str
    run: Callable[[Slots], None]
    frees: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` over `size` slots. `weights` and `inputs` say which slots to fill with what before a run."""

    steps: tuple[Step, ...]
    size: int
    weights: Mapping[int, str]
    inputs: Mapping[int, str]
    constants: Mapping[int, torch.Tensor]
    results: Any

    def slots(self, weights: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]) -> Slots:
        """Slots with `weights` (by key) and `inputs` (by name) in place; each run takes a copy of the list."""
        filled: Slots = [None] * self.size
        for index, key in self.weights.items():
            filled[index] = weights[key]
        for index, name in self.inputs.items():
            filled[index] = inputs[name]
        for index, value in self.constants.items():
            filled[index] = value
        return filled

    def outputs(self, slots: Slots) -> Any:
        """The results of the program, nested as its output node has them, after every step was run on `slots`."""
        return resolver(self.results)(slots)


def plan(program: ExportedProgram, graph: Graph, device: torch.device) -> Plan:
    """The Plan of `program`, whose nodes are named as in `graph` (extracted from it), to run on `device`.

    Devices written into the program (a capture on the meta device) are replaced by `device`. GraphlabError when the
    two do not belong together or an input is no tensor.
    """
    return _Planner(program, graph, device).plan()


@dataclass
class _Call:
    name: str | None
    op: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: int


@dataclass
class _Planner:
    program: ExportedProgram
    graph: Graph
    device: torch.device
    calls: list[_Call] = field(default_factory=list)
    weights: dict[int, str] = field(default_factory=dict)
    inputs: dict[int, str] = field(default_factory=dict)
    constants: dict[int, torch.Tensor] = field(default_factory=dict)
    size: int = 0
    named: int = 0

    def plan(self) -> Plan:
        env: dict[torch.fx.Node, Any] = {}
        self._placeholders(env)
        results = self._walk(self.program.graph, env, None)
        if self.named != len(self.graph.calls):
            missing = self.graph.calls[self.named].name
            raise GraphlabError(f"the program has no call for node {missing}", hint="capture it again and report this")
        kept = {slot.index for slot in slots_in(results)}
        return Plan(self._steps(kept), self.size, self.weights, self.inputs, self.constants, results)

    def _placeholders(self, env: dict[torch.fx.Node, Any]) -> None:
        specs = {getattr(spec.arg, "name", ""): spec for spec in self.program.graph_signature.input_specs}
        names = iter([node.name for node in self.graph.inputs])
        for node in self.program.graph.find_nodes(op="placeholder"):
            value, spec = node.meta.get("val"), specs.get(node.name)
            if not isinstance(value, torch.Tensor):
                if not (value is None or isinstance(value, (bool, int, float, str))):
                    raise GraphlabError(f"input {node.name} is a {type(value).__name__}, only tensors can be made up")
                env[node] = value
                continue
            env[node] = slot = self._slot()
            if spec is None or spec.kind is InputKind.USER_INPUT or spec.target is None:
                self.inputs[slot.index] = next(names)
            else:
                self.weights[slot.index] = spec.target

    def _slot(self) -> Slot:
        self.size += 1
        return Slot(self.size - 1)

    def _walk(self, graph: torch.fx.Graph, env: dict[torch.fx.Node, Any], context: _Autocast | None) -> Any:
        results: Any = ()
        for node in graph.nodes:
            if node.op == "output":
                results = self._template(node.args[0], env)
            elif node.op == "get_attr":
                env[node] = self._attribute(node, graph.owning_module)
            elif node.op == "call_function":
                self._call(node, env, context)
        return results

    def _attribute(self, node: torch.fx.Node, owner: Any) -> Any:
        value = owner
        for part in str(node.target).split("."):
            value = getattr(value, part)
        if not isinstance(value, torch.Tensor):
            return value
        from graphlab.measuring.materialize import SEED, on_device

        slot = self._slot()
        generator = torch.Generator(self.device).manual_seed(SEED)
        self.constants[slot.index] = on_device(value, str(node.target), self.device, generator, parameter=False)
        return slot

    def _call(self, node: torch.fx.Node, env: dict[torch.fx.Node, Any], context: _Autocast | None) -> None:
        args = self._template(tuple(node.args), env)
        kwargs = {key: self._template(value, env) for key, value in node.kwargs.items()}
        kind = str(getattr(node.target, "__name__", node.target))
        if kind in ("wrap_with_set_grad_enabled", "wrap_with_autocast"):
            env[node] = self._inline(node.args, args, kind, context)
            return
        if kind == "getitem" and isinstance(args[0], (tuple, list)):
            env[node] = args[0][args[1]]
            return
        name = self._named(node)
        if name is None and not node.users:
            return  # an assertion about sizes or dtypes
        assert callable(node.target)
        function = context.around(node.target) if context is not None else node.target
        env[node] = slot = self._slot()
        self.calls.append(_Call(name, _op(node.target), function, args, kwargs, slot.index))

    def _inline(self, raw: Sequence[Any], args: Sequence[Any], kind: str, context: _Autocast | None) -> Any:
        position = next(i for i, value in enumerate(args) if isinstance(value, torch.fx.GraphModule))
        if kind == "wrap_with_autocast":
            _, dtype, enabled = raw[:3]
            context = _Autocast(self.device.type, dtype) if enabled else None
        inner = args[position].graph
        placeholders = inner.find_nodes(op="placeholder")
        return self._walk(inner, dict(zip(placeholders, args[position + 1 :], strict=True)), context)

    def _named(self, node: torch.fx.Node) -> str | None:
        """The next call of the stage's graph when it is `node`: both list calls in execution order."""
        if self.named == len(self.graph.calls):
            return None
        call = self.graph.calls[self.named]
        if call.target != _op(node.target) or not call.name.rstrip("_").endswith(node.name.rstrip("_")):
            return None
        self.named += 1
        return call.name

    def _template(self, value: Any, env: Mapping[torch.fx.Node, Any]) -> Any:
        if isinstance(value, torch.fx.Node):
            return env[value]
        if isinstance(value, torch.device):
            return self.device
        if isinstance(value, (list, immutable_list)):
            return [self._template(item, env) for item in value]
        if isinstance(value, tuple):
            return tuple(self._template(item, env) for item in value)
        if isinstance(value, (dict, immutable_dict)):
            return {key: self._template(item, env) for key, item in value.items()}
        return value

    def _steps(self, kept: set[int]) -> tuple[Step, ...]:
        given = {*self.weights, *self.inputs, *self.constants}
        last = {index: number for number, call in enumerate(self.calls) for index in _touched(call)}
        frees: dict[int, list[int]] = {}
        for index, number in last.items():
            if index not in kept and index not in given:
                frees.setdefault(number, []).append(index)
        return tuple(_step(call, tuple(sorted(frees.get(number, ())))) for number, call in enumerate(self.calls))


@dataclass(frozen=True, slots=True)
class _Autocast:
    """The autocast region a call lies in."""

    device: str
    dtype: torch.dtype | None

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            with torch.autocast(self.device, dtype=self.dtype):
                return function(*args, **kwargs)

        return call


def _op(target: Any) -> str:
    """The name `graphlab.graph.Node.target` has for an operator."""
    return str(target) if isinstance(target, torch._ops.OpOverload) else str(getattr(target, "__name__", target))


def _touched(call: _Call) -> Iterator[int]:
    yield from (slot.index for slot in slots_in((call.args, call.kwargs)))
    yield call.out


def _step(call: _Call, frees: tuple[int, ...]) -> Step:
    function, out = call.function, call.out
    positional, named = resolver(call.args), resolver(call.kwargs)

    def run(slots: Slots) -> None:
        slots[out] = function(*positional(slots), **named(slots))
        for index in frees:
            slots[index] = None

    return Step(call.name, call.op, run, frees)
