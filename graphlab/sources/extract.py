"""ExportedProgram to `Graph`: shapes as text over named symbols, wrappers inlined, shape arithmetic dropped.

What is dropped: nodes whose value is a number (`sym_size`, arithmetic on sizes) because shape reads are not
data dependence, and assertions. What is inlined: the `wrap_with_set_grad_enabled` and `wrap_with_autocast`
higher-order operators that `torch.no_grad` and `torch.autocast` inside a forward leave behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import sympy
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from graphlab.errors import CaptureError
from graphlab.graph import Graph, Node, Ref, Size, TensorSpec
from graphlab.sources.guards import guard_texts

_INLINED = ("wrap_with_set_grad_enabled", "wrap_with_autocast", "hints_wrapper")
_ASSERTIONS = ("_assert", "sym_constrain_range", "check_", "_functional_assert")
_KINDS = {
    InputKind.PARAMETER: "parameter",
    InputKind.BUFFER: "buffer",
    InputKind.CONSTANT_TENSOR: "constant",
    InputKind.CUSTOM_OBJ: "constant",
}


def extract(program: ExportedProgram) -> Graph:
    """The Graph of `program`; symbols are named after the first input axis that shows them ("sample.d2")."""
    extractor = _Extractor(program)
    results = extractor.run(program.graph, {}, "")
    symbols = extractor.symbols
    return Graph(
        nodes=tuple(extractor.nodes),
        results=results,
        symbols=symbols.examples,
        guards=guard_texts(program, symbols.by_axis),
        ranges=symbols.ranges,
    )


@dataclass
class _Symbols:
    """Names for the symbols of one program: torch's s53 is our "sample.d0"."""

    names: dict[sympy.Symbol, sympy.Symbol] = field(default_factory=dict)
    examples: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    by_axis: dict[str, str] = field(default_factory=dict)
    texts: dict[sympy.Expr, str | int] = field(default_factory=dict)

    def knows(self, size: torch.SymInt) -> bool:
        """Whether `size` follows from the sizes of the inputs."""
        return all(symbol in self.names for symbol in size.node.expr.free_symbols)

    def text(self, size: Any) -> int | str:
        """`size` (int or SymInt) as an int or as text over the named symbols."""
        if isinstance(size, int):
            return size
        expr = size.node.expr
        if expr not in self.texts:
            if not self.knows(size):
                raise CaptureError(
                    f"a tensor's size ({expr}) depends on the data",
                    hint="only sizes that follow from the inputs' can be analysed",
                )
            named = expr.xreplace(self.names)
            self.texts[expr] = int(named) if named.is_Integer else str(named)
        return self.texts[expr]


def _collect_symbols(program: ExportedProgram) -> _Symbols:
    found = _Symbols()
    for node in program.graph.find_nodes(op="placeholder"):
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            continue
        for index, size in enumerate(value.shape):
            axis = f"{node.name}.d{index}"
            if isinstance(size, int):
                found.by_axis[axis] = str(size)
                continue
            expr = size.node.expr
            if isinstance(expr, sympy.Symbol) and expr not in found.names:
                found.names[expr] = sympy.Symbol(axis, integer=True, positive=True)
                found.examples[axis] = _example(size)
                found.ranges[axis] = _range(program, expr)
            found.by_axis[axis] = str(expr.xreplace(found.names))
    return found


def _example(size: torch.SymInt) -> int:
    hint = size.node.hint
    if hint is None:
        raise CaptureError(f"the size {size} of an input has no example value in the exported program")
    return int(hint)


def _range(program: ExportedProgram, symbol: sympy.Symbol) -> tuple[int, int | None]:
    bounds = program.range_constraints.get(symbol)
    if bounds is None:
        return (0, None)
    upper = bounds.upper
    finite = isinstance(upper, (int, sympy.Integer)) and int(upper) < 2**62
    return (int(bounds.lower), int(upper) if finite else None)


class _Extractor:
    """Walks the graph and the subgraphs it inlines, in execution order."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.symbols = _collect_symbols(program)
        self.nodes: list[Node] = []
        self.taken: set[str] = set()
        self.sources: dict[str, str] = {}
        self.stacks: dict[int, tuple[tuple[str, str], ...]] = {}
        self.inputs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
        self.last_results: Any = ()
        self.places: set[tuple[Any, ...]] = set()

    def run(self, graph: torch.fx.Graph, env: dict[str, Any], prefix: str) -> tuple[str, ...]:
        """Append the nodes of `graph`; `env` maps fx names to Refs, sizes or constants. Returns result names."""
        modules = graph.owning_module
        results: tuple[Any, ...] = ()
        for node in graph.nodes:
            if node.op == "placeholder":
                if node.name not in env:
                    self._placeholder(node, env)
            elif node.op == "output":
                results = self._arg(node.args[0], env)
            elif node.op == "get_attr":
                self._get_attr(node, modules, env)
            elif node.op == "call_function":
                self._call(node, env, prefix)
            else:
                raise CaptureError(f"node {node.name} is a {node.op}, which exported graphs do not hold")
        self.last_results = results
        return tuple(r.name for r in _flatten(results) if isinstance(r, Ref))

    def _placeholder(self, node: torch.fx.Node, env: dict[str, Any]) -> None:
        value = node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            env[node.name] = self._constant(value)
            return
        spec = self.inputs.get(node.name)
        kind = _KINDS.get(spec.kind, "input") if spec else "input"
        target = spec.target if spec is not None and kind != "input" and spec.target else node.name
        if kind != "input" and self._seen_before(target):
            kind = "tied"
        self._add(Node(self._unique(node.name, ""), kind, target, outputs=(self._spec(value),)), node, env)

    def _seen_before(self, key: str) -> bool:
        """Whether the weight `key` is the memory of one that came before: a tied embedding is held once."""
        tensor = self.program.state_dict.get(key)
        if not isinstance(tensor, torch.Tensor) or tensor.numel() == 0:
            return False
        place = (tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape))
        seen = place in self.places
        self.places.add(place)
        return seen

    def _get_attr(self, node: torch.fx.Node, owner: Any, env: dict[str, Any]) -> None:
        value = owner
        for part in str(node.target).split("."):
            value = getattr(value, part)
        if isinstance(value, torch.Tensor):
            spec = TensorSpec(tuple(value.shape), tuple(value.stride()), _dtype(value))
            self._add(Node(self._unique(node.name, ""), "constant", str(node.target), outputs=(spec,)), node, env)
        else:
            env[node.name] = value

    def _call(self, node: torch.fx.Node, env: dict[str, Any], prefix: str) -> None:
        target = _target(node.target)
        value = node.meta.get("val")
        if any(target.startswith(name) or f".{name}" in target for name in _ASSERTIONS):
            return
        if target.split(".")[-1] in _INLINED or target in _INLINED:
            self._inline(node, env)
            return
        if target == "getitem":
            source, index = cast(tuple[torch.fx.Node, int], node.args)
            if not isinstance(env.get(source.name), Ref):
                env[node.name] = env[source.name][index]
                return
        if isinstance(value, (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool)):
            env[node.name] = self._constant(value)
            return
        outputs = tuple(self._spec(item) if isinstance(item, torch.Tensor) else None for item in _flatten(value))
        self._add(
            Node(
                name=self._unique(node.name, prefix),
                kind="call",
                target=target,
                args=self._arg(node.args, env),
                kwargs=tuple((key, self._arg(item, env)) for key, item in node.kwargs.items()),
                outputs=outputs or (None,),
                modules=self._modules(node),
                source=self._source(node),
            ),
            node,
            env,
        )

    def _inline(self, node: torch.fx.Node, env: dict[str, Any]) -> None:
        given: list[Any] = [env.get(getattr(arg, "name", "")) for arg in node.args]
        position = next(i for i, value in enumerate(given) if isinstance(value, torch.fx.GraphModule))
        module = given[position]
        operands = [self._arg(arg, env) for arg in node.args[position + 1 :]]
        placeholders = module.graph.find_nodes(op="placeholder")
        inner = {p.name: operand for p, operand in zip(placeholders, operands, strict=True)}
        self.run(module.graph, inner, f"{node.name}_")
        env[node.name] = self.last_results

    def _add(self, built: Node, node: torch.fx.Node, env: dict[str, Any]) -> None:
        self.nodes.append(built)
        env[node.name] = Ref(built.name)

    def _unique(self, name: str, prefix: str) -> str:
        chosen = name if name not in self.taken else f"{prefix}{name}"
        while chosen in self.taken:
            chosen += "_"
        self.taken.add(chosen)
        return chosen

    def _arg(self, arg: Any, env: Mapping[str, Any]) -> Any:
        if isinstance(arg, torch.fx.Node):
            return env[arg.name]
        if isinstance(arg, (tuple, list)):
            return tuple(self._arg(item, env) for item in arg)
        return self._constant(arg)

    def _constant(self, value: Any) -> Any:
        if isinstance(value, (bool, int, float, str)) or value is None:
            return value
        if isinstance(value, torch.SymInt):
            if not self.symbols.knows(value):
                return str(value)  # a number read from a tensor: known when the model runs
            text = self.symbols.text(value)
            return Size(text) if isinstance(text, str) else text
        if isinstance(value, (tuple, list)):
            return tuple(self._constant(item) for item in value)
        if isinstance(value, (torch.SymFloat, torch.SymBool)):
            return str(value.node.expr.xreplace(self.symbols.names))
        return str(value)

    def _spec(self, value: torch.Tensor) -> TensorSpec:
        text = self.symbols.text
        stride = tuple(text(s) for s in value.stride()) if value.layout == torch.strided else ()
        return TensorSpec(tuple(text(s) for s in value.shape), stride, _dtype(value))

    def _modules(self, node: torch.fx.Node) -> tuple[tuple[str, str], ...]:
        stack = node.meta.get("nn_module_stack") or {}
        key = id(stack)
        if key not in self.stacks:
            self.stacks[key] = tuple((path, _class_name(kind)) for path, kind in stack.values())
        return self.stacks[key]

    def _source(self, node: torch.fx.Node) -> str:
        trace = node.meta.get("stack_trace") or ""
        if trace not in self.sources:
            self.sources[trace] = source_line(trace)
        return self.sources[trace]


_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def source_line(trace: str) -> str:
    """ "package/file.py:line" of the deepest frame of `trace` outside torch; "" when there is none."""
    for path, line in reversed(_FRAME.findall(trace)):
        short = re.split(r"(?:site|dist)-packages[\\/]", path)[-1].replace("\\", "/")
        if not short.startswith("torch/") and "/graphlab/components/" not in f"/{short}":
            return f"{short if short != path else short.rsplit('/', 1)[-1]}:{line}"
    return ""


def _class_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def _dtype(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _target(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    name: str = getattr(target, "__name__", str(target))
    return name


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _flatten(item)
    else:
        yield value
