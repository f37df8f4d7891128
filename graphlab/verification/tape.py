"""An exported program as a flat list of calls over named values, wrappers inlined: what verification runs and cuts.

Values are named as in the program's `Graph`. The program's own `module()` is never called: it executes guards that a
file's author may have written as code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sympy
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from graphlab.graph import Ref, TensorSpec
from graphlab.program import Program
from graphlab.verification.result import VerificationError

Specs: TypeAlias = Mapping[str, tuple[TensorSpec | None, ...]]
"""{value name: specs of its tensors}."""

_INLINED = ("wrap_with_set_grad_enabled", "wrap_with_autocast", "hints_wrapper")
_ASSERTIONS = ("_assert", "sym_constrain_range", "check_", "_functional_assert")


@dataclass(frozen=True, slots=True)
class Autocast:
    """The autocast region a call lies in."""

    device: str
    dtype: torch.dtype | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `function`; `args` and `kwargs` hold `Ref`s where values go.

    `size` is the text (or number) of the result over the graph's symbols where that is a size, None for tensors.
    """

    name: str
    op: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    autocast: Autocast | None = None
    size: int | str | None = None
    refs: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether the operator writes into an argument."""
        return isinstance(self.function, torch._ops.OpOverload) and self.function._schema.is_mutable

    @property
    def random(self) -> bool:
        """Whether the operator may draw random numbers."""
        return (
            isinstance(self.function, torch._ops.OpOverload) and torch.Tag.nondeterministic_seeded in self.function.tags
        )


@dataclass(frozen=True)
class Tape:
    """`calls` in order; `inputs` the names of the user's tensors, `weights` {value name: key}, `constants` {value
    name: tensor}, `results` the user's results flat, `updates` {"buffer KEY" or "input NAME": value} of what a run
    writes."""

    program: Program
    calls: tuple[Call, ...]
    inputs: tuple[str, ...]
    weights: Mapping[str, str]
    constants: Mapping[str, torch.Tensor]
    results: tuple[Any, ...]
    updates: Mapping[str, Any]
    by_name: Mapping[str, Call] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    """{name in torch's graph: value name} of the inputs that the Graph calls otherwise."""

    def specs(self, values: Mapping[str, int]) -> Specs:
        """{value name: specs of its tensors} with integer sizes under `values`."""
        return {node.name: node.outputs for node in self.program.graph.at(values).nodes}

    @property
    def exported(self) -> ExportedProgram:
        """torch's program."""
        assert self.program.exported is not None
        return self.program.exported

    @property
    def writes(self) -> bool:
        """Whether anything is written in place."""
        return any(call.writes for call in self.calls)


def tape(program: Program) -> Tape:
    """The Tape of `program`. VerificationError when it has no exported program or takes inputs that are no tensors."""
    if program.exported is None:
        raise VerificationError(
            f"{program.name} is only known by its graph, which cannot be run", hint="capture it without the cache"
        )
    return _Flattener(program, program.exported).run()


@dataclass
class _Flattener:
    program: Program
    exported: ExportedProgram
    calls: list[Call] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)
    weights: dict[str, str] = field(default_factory=dict)
    constants: dict[str, torch.Tensor] = field(default_factory=dict)
    symbols: dict[sympy.Symbol, sympy.Symbol] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    sizes: int = 0

    def run(self) -> Tape:
        env: dict[torch.fx.Node, Any] = {}
        self._placeholders(env)
        outputs = self._walk(self.exported.graph, env, None, "")
        results, updates = self._split(outputs)
        return Tape(
            self.program,
            tuple(self.calls),
            tuple(self.inputs),
            self.weights,
            self.constants,
            results,
            updates,
            {call.name: call for call in self.calls},
            self.aliases,
        )

    def _split(self, outputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        results: list[Any] = []
        updates: dict[str, Any] = {}
        for spec, value in zip(self.exported.graph_signature.output_specs, outputs, strict=True):
            if spec.kind is OutputKind.USER_OUTPUT:
                results.append(value)
            elif spec.kind in (OutputKind.BUFFER_MUTATION, OutputKind.PARAMETER_MUTATION):
                updates[f"buffer {spec.target}"] = value
            elif spec.kind is OutputKind.USER_INPUT_MUTATION:
                updates[f"input {self.aliases.get(spec.target or '', spec.target)}"] = value
            else:
                raise VerificationError(f"{self.program.name} returns a {spec.kind.name}, which cannot be compared")
        return tuple(results), updates

    def _placeholders(self, env: dict[torch.fx.Node, Any]) -> None:
        specs = {getattr(spec.arg, "name", ""): spec for spec in self.exported.graph_signature.input_specs}
        names = iter([node.name for node in self.program.graph.inputs])
        for node in self.exported.graph.find_nodes(op="placeholder"):
            value, spec = node.meta.get("val"), specs.get(node.name)
            if not isinstance(value, torch.Tensor):
                if not (value is None or isinstance(value, (bool, int, float, str))):
                    raise VerificationError(
                        f"input {node.name} is a {type(value).__name__}, only tensors can be made up"
                    )
                env[node] = value
                continue
            if spec is None or spec.kind is InputKind.USER_INPUT or spec.target is None:
                name = next(names)
                self.taken.add(name)
                self.inputs.append(name)
                if name != node.name:
                    self.aliases[node.name] = name
            else:
                name = self._unique(node.name, "")
                self.weights[name] = spec.target
            env[node] = Ref(name)
            self._symbols(value, name)

    def _symbols(self, value: torch.Tensor, name: str) -> None:
        for index, size in enumerate(value.shape):
            if isinstance(size, torch.SymInt):
                expr = size.node.expr
                if isinstance(expr, sympy.Symbol) and expr not in self.symbols:
                    self.symbols[expr] = sympy.Symbol(f"{name}.d{index}", integer=True, positive=True)

    def _walk(self, graph: torch.fx.Graph, env: dict[torch.fx.Node, Any], cast: Autocast | None, prefix: str) -> Any:
        results: Any = ()
        for node in graph.nodes:
            if node.op == "output":
                results = self._template(node.args[0], env)
            elif node.op == "get_attr":
                env[node] = self._attribute(node, graph.owning_module)
            elif node.op == "call_function":
                self._call(node, env, cast, prefix)
        return results

    def _attribute(self, node: torch.fx.Node, owner: Any) -> Any:
        value = owner
        for part in str(node.target).split("."):
            value = getattr(value, part)
        if not isinstance(value, torch.Tensor):
            return value
        name = self._unique(node.name, "")
        self.constants[name] = value
        return Ref(name)

    def _call(self, node: torch.fx.Node, env: dict[torch.fx.Node, Any], cast: Autocast | None, prefix: str) -> None:
        op = _op(node.target)
        if any(op.startswith(name) or f".{name}" in op for name in _ASSERTIONS):
            return
        args = self._template(tuple(node.args), env)
        if op.split(".")[-1] in _INLINED:
            env[node] = self._inline(node, args, op, cast)
            return
        if op == "getitem" and isinstance(args[0], (tuple, list)):
            env[node] = args[0][args[1]]
            return
        value = node.meta.get("val")
        is_size = isinstance(value, (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool))
        name = self._size_name(node.name) if is_size else self._unique(node.name, prefix)
        env[node] = Ref(name)
        if not node.users and not (isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable):
            return  # nobody reads it
        kwargs = {key: self._template(item, env) for key, item in node.kwargs.items()}
        refs = tuple(dict.fromkeys(refs_in((args, kwargs))))
        assert callable(node.target)
        size = self._size(value) if is_size else None
        self.calls.append(Call(name, op, node.target, args, kwargs, cast, size, refs))

    def _size(self, value: Any) -> int | str:
        if isinstance(value, (int, float, bool)):
            return value if isinstance(value, int) else str(value)
        expr = value.node.expr.xreplace(self.symbols)
        return int(expr) if getattr(expr, "is_Integer", False) else str(expr)

    def _inline(self, node: torch.fx.Node, args: Sequence[Any], op: str, cast: Autocast | None) -> Any:
        position = next(i for i, value in enumerate(args) if isinstance(value, torch.fx.GraphModule))
        if op.endswith("wrap_with_autocast"):
            device, dtype, enabled = args[:3]
            cast = Autocast(str(device), dtype) if enabled else None
        inner = args[position].graph
        operands = dict(zip(inner.find_nodes(op="placeholder"), args[position + 1 :], strict=True))
        return self._walk(inner, operands, cast, f"{node.name}_")

    def _template(self, value: Any, env: Mapping[torch.fx.Node, Any]) -> Any:
        if isinstance(value, torch.fx.Node):
            return env[value]
        if isinstance(value, (list, tuple)):
            items = [self._template(item, env) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        if isinstance(value, dict):
            return {key: self._template(item, env) for key, item in value.items()}
        return value

    def _unique(self, name: str, prefix: str) -> str:
        chosen = name if name not in self.taken else f"{prefix}{name}"
        while chosen in self.taken:
            chosen += "_"
        self.taken.add(chosen)
        return chosen

    def _size_name(self, name: str) -> str:
        """Sizes are no nodes of a Graph: a name no node can have."""
        self.sizes += 1
        return f"{name}#{self.sizes}"


def refs_in(value: Any) -> Iterator[str]:
    """Names of the values in a template, in order, repeats kept."""
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs_in(item)


def _op(target: Any) -> str:
    """The name `graphlab.graph.Node.target` has for an operator."""
    return str(target) if isinstance(target, torch._ops.OpOverload) else str(getattr(target, "__name__", target))
