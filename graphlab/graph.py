"""`Graph`: what analyses read. A flat, serialisable view of an exported program, with shapes as text or integers.

An `ExportedProgram` keeps shapes in fake tensors, loses their storages when saved and takes seconds to load.
A Graph holds only what costs, axes and attention are told from, so a live capture, a reloaded `.pt2` and a
cached one are the same Graph, to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

from graphlab.symbolic import evaluate_text

Dim: TypeAlias = Any
"""int, or text over the graph's symbols ("1 + (-1 + sample.d2) // 2"), or sympy after `map_sizes`."""

DTYPE_BYTES: Mapping[str, int] = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1, "complex32": 4, "complex64": 8,
    "complex128": 16, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4,
    "uint64": 8, "bool": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape, strides (in elements) and dtype name of one tensor."""

    shape: tuple[Dim, ...]
    stride: tuple[Dim, ...]
    dtype: str

    @property
    def numel(self) -> Dim:
        """Number of elements; an int, or an expression when the shape holds one."""
        total: Dim = 1
        for size in self.shape:
            total = total * size
        return total

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return DTYPE_BYTES[self.dtype]

    @property
    def nbytes(self) -> Dim:
        """Bytes of all elements."""
        return self.numel * self.itemsize

    @property
    def distinct_bytes(self) -> Dim:
        """Bytes that exist in memory: an expanded axis (stride 0) is stored once."""
        total: Dim = self.itemsize
        for size, stride in zip(self.shape, self.stride, strict=True):
            total = total if isinstance(stride, int) and stride == 0 else total * size
        return total


@dataclass(frozen=True, slots=True)
class Ref:
    """An argument that is the value of the node `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Size:
    """An argument that is an integer expression over the graph's symbols."""

    text: str


Arg: TypeAlias = Any
"""Ref, Size, int, float, bool, str, None, or a tuple of them."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the graph.

    `kind` is "input", "parameter", "buffer", "constant", "tied" (a weight that is the memory of an earlier one)
    or "call". `target` is "aten.linear.default" for a
    call, the state-dict key for a parameter, the input's name otherwise. `outputs` are the tensors it makes
    (several for split or chunk; the `getitem` calls that follow pick one). `modules` is the module stack,
    outermost first, as (path, class name) pairs; `source` is "package/file.py:line" of the deepest frame
    outside torch, or "".
    """

    name: str
    kind: str
    target: str
    args: tuple[Arg, ...] = ()
    kwargs: tuple[tuple[str, Arg], ...] = ()
    outputs: tuple[TensorSpec | None, ...] = ()
    modules: tuple[tuple[str, str], ...] = ()
    source: str = ""
    refs: tuple[str, ...] = field(init=False, compare=False, repr=False)
    """Names of the nodes this one reads, in argument order, repeats kept."""

    def __post_init__(self) -> None:
        found = tuple(_refs((self.args, tuple(value for _, value in self.kwargs))))
        object.__setattr__(self, "refs", found)  # asked for more often than anything else about a node

    @property
    def out(self) -> TensorSpec:
        """The first tensor this node makes."""
        spec = self.outputs[0]
        assert spec is not None
        return spec


def _refs(value: Arg) -> Iterator[str]:
    if isinstance(value, Ref):
        yield value.name
    elif isinstance(value, tuple):
        for item in value:
            yield from _refs(item)


@dataclass(frozen=True)
class Graph:
    """Nodes in execution order, the names of the returned values, and the symbols their sizes are written in.

    `symbols` maps each symbol ("sample.d2": dimension 2 of input sample) to its example value; `guards` are
    the conditions, as text over symbols, under which this graph is the model's graph; `ranges` the bounds of
    each symbol (None: unbounded).
    """

    nodes: tuple[Node, ...]
    results: tuple[str, ...]
    symbols: Mapping[str, int] = field(default_factory=dict)
    guards: tuple[str, ...] = ()
    ranges: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """{node name: Node}."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def users(self) -> dict[str, tuple[Node, ...]]:
        """{node name: the nodes that read it, in order}; a node without users maps to ()."""
        users: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.refs):
                users[name].append(node)
        return {name: tuple(nodes) for name, nodes in users.items()}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The user's inputs, in order."""
        return tuple(node for node in self.nodes if node.kind == "input")

    @property
    def calls(self) -> tuple[Node, ...]:
        """The nodes that compute or move something, in execution order."""
        return tuple(node for node in self.nodes if node.kind == "call")

    @property
    def weights(self) -> tuple[Node, ...]:
        """Parameters, buffers and constants; a tied weight is the one it is tied to."""
        return tuple(node for node in self.nodes if node.kind in ("parameter", "buffer", "constant"))

    def map_sizes(self, size: Callable[[str], Dim]) -> Graph:
        """This graph with every size expression replaced by `size(text)`; each distinct text is asked once."""
        if not self.symbols:
            return self
        sizes: dict[str, Dim] = {}
        specs: dict[TensorSpec, TensorSpec] = {}

        def dim(value: Dim) -> Dim:
            if not isinstance(value, str):
                return value
            if value not in sizes:
                sizes[value] = size(value)
            return sizes[value]

        def spec(old: TensorSpec | None) -> TensorSpec | None:
            if old is None:
                return None
            if old not in specs:
                specs[old] = TensorSpec(tuple(map(dim, old.shape)), tuple(map(dim, old.stride)), old.dtype)
            return specs[old]

        def arg(value: Arg) -> Arg:
            if isinstance(value, Size):
                return dim(value.text)
            if isinstance(value, tuple):
                return tuple(arg(item) for item in value)
            return value

        nodes = tuple(
            replace(
                node,
                outputs=tuple(spec(out) for out in node.outputs),
                args=arg(node.args),
                kwargs=tuple((key, arg(value)) for key, value in node.kwargs),
            )
            for node in self.nodes
        )
        return Graph(nodes, self.results)

    def with_inputs_named(self, names: Mapping[str, str]) -> Graph:
        """This graph with inputs renamed ({old: new}), in arguments, symbols, guards and size text alike."""
        if not names:
            return self
        pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")(?=\.d\d)")

        def text(value: Any) -> Any:
            return pattern.sub(lambda match: names[match.group(1)], value) if isinstance(value, str) else value

        def arg(value: Arg) -> Arg:
            if isinstance(value, Ref):
                return Ref(names.get(value.name, value.name))
            if isinstance(value, Size):
                return Size(text(value.text))
            return tuple(map(arg, value)) if isinstance(value, tuple) else value

        def spec(old: TensorSpec | None) -> TensorSpec | None:
            return old and TensorSpec(tuple(map(text, old.shape)), tuple(map(text, old.stride)), old.dtype)

        nodes = tuple(
            replace(
                node,
                name=names.get(node.name, node.name),
                target=names.get(node.target, node.target) if node.kind == "input" else node.target,
                args=arg(node.args),
                kwargs=tuple((key, arg(value)) for key, value in node.kwargs),
                outputs=tuple(map(spec, node.outputs)),
            )
            for node in self.nodes
        )
        return Graph(
            nodes,
            tuple(names.get(name, name) for name in self.results),
            {text(symbol): size for symbol, size in self.symbols.items()},
            tuple(map(text, self.guards)),
            {text(symbol): bounds for symbol, bounds in self.ranges.items()},
        )

    def at(self, values: Mapping[str, int]) -> Graph:
        """This graph with integer sizes under `values` ({symbol: value}); the caller has checked the guards."""
        return self.map_sizes(lambda text: evaluate_text(text, values))
