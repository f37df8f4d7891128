"""Operators on fake tensors, written down as they are called: torch infers shapes, strides and guards.

A translation calls ATen operators here as a forward would; each call runs on tensors without memory and becomes a
node. What ATen has no operator for is written down with the shapes its translation gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch

from graphlab.graph import Graph, Node, Ref, Size, TensorSpec
from graphlab.onnx_graph.shortcuts import shortcut
from graphlab.onnx_graph.symbols import Symbols
from graphlab.onnx_graph.value import Value, known_array


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call comes from: the name its node gets, the modules around it, the source line behind it."""

    name: str = "node"
    modules: tuple[tuple[str, str], ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    kind: str
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    fakes: tuple[torch.Tensor, ...]
    place: Place


class Tracer:
    """Writes down calls on values of one trace; `graph` gives them as a Graph."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.place = Place()
        self._records: list[_Record] = []
        self._taken: dict[str, int] = {}
        self._results: dict[Any, Any] = {}
        self._fakes: dict[Any, torch.Tensor] = {}
        self._specs: dict[int, TensorSpec] = {}

    def call(self, target: str, *args: Any, **kwargs: Any) -> Any:
        """The Value (a tuple of them for several results) of the ATen overload `target` on values and numbers."""
        result = self._run(target, args, kwargs)
        if isinstance(result, (tuple, list)):
            ref = self._record("call", target, args, kwargs, tuple(result))
            return tuple(self._item(ref, index, fake) for index, fake in enumerate(result))
        return _value(result, self._record("call", target, args, kwargs, (result,)))

    def write(
        self,
        target: str,
        args: Sequence[Any],
        outs: Sequence[tuple[Sequence[Any], torch.dtype]],
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """As `call`, of an operator torch need not run: `outs` are the (shape, dtype) of its results, contiguous."""
        fakes = tuple(self.empty(shape, dtype) for shape, dtype in outs)
        for value in _values(args):
            value.tensor()
        ref = self._record("call", target, tuple(args), options or {}, fakes)
        if len(fakes) == 1:
            return _value(fakes[0], ref)
        return tuple(self._item(ref, index, fake) for index, fake in enumerate(fakes))

    def shape_of(self, target: str, *args: Any) -> Value:
        """Shape and dtype of what an ATen overload would return; nothing is written down."""
        fake = self._run(target, args, {})
        return Value(fake.dtype, tuple(fake.shape))

    def unwritten(self, shape: Sequence[Any], dtype: torch.dtype) -> Value:
        """A value of no node, to ask `shape_of` with."""
        return Value(dtype, tuple(shape), fake=self.empty(shape, dtype))

    def _run(self, target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """The fake result of a call, worked out once for equal arguments: a model repeats its blocks, and inference on
        symbolic sizes takes tens of milliseconds. Fake tensors of one spec are one object, so that identity tells."""
        given = _run(args)
        options = {key: _run(item) for key, item in kwargs.items()}
        key = (target, _key(given), tuple((name, _key(item)) for name, item in options.items()))
        if key not in self._results:
            made: Any = shortcut(target, given, self.empty)
            if made is None:
                with self.symbols.mode:
                    made = _overload(target)(*given, **options)
            several = isinstance(made, (tuple, list))
            self._results[key] = tuple(map(self._canonical, made)) if several else self._canonical(made)
        return self._results[key]

    def _canonical(self, fake: torch.Tensor) -> torch.Tensor:
        return self._fakes.setdefault((fake.dtype, _key(fake.shape), _key(fake.stride())), fake)

    def product_shape(self, a: Value, b: Value) -> tuple[Any, ...]:
        """The shape of a @ b, whatever their types."""
        with self.symbols.mode:
            fakes = [torch.empty(value.shape, device="meta") for value in (a, b)]
            return tuple(torch.ops.aten.matmul.default(*fakes).shape)

    def leaf(self, kind: str, name: str, target: str, shape: Sequence[Any], dtype: torch.dtype) -> Value:
        """An input or a weight: `kind` as in `graphlab.graph.Node`."""
        fake = self.empty(shape, dtype)
        made = self._unique(name)
        record = _Record(made, kind, target or made, (), {}, (fake,), Place())
        self._records.append(record)
        return _value(fake, made)

    def empty(self, shape: Sequence[Any], dtype: torch.dtype) -> torch.Tensor:
        """A fake tensor."""
        key = ("empty", dtype, _key(tuple(shape)))
        if key not in self._fakes:
            with self.symbols.mode:
                made = torch.empty(tuple(shape), dtype=dtype, device="meta")
            self._fakes[key] = self._canonical(made)
        return self._fakes[key]

    def known(self, array: Any, dtype: torch.dtype) -> Value:
        """A value whose elements are `array`'s; a node is made of it where an operator reads it as a tensor."""
        return Value(dtype, tuple(array.shape), known=array, make=self._make)

    def numbers(self, values: Sequence[Any], dtype: torch.dtype = torch.int64) -> Value:
        """`known` of a flat list."""
        return self.known(known_array(list(values)), dtype)

    def _make(self, value: Value) -> None:
        assert value.known is not None
        flat = list(value.known.reshape(-1))
        first = flat[0] if flat else 0
        if len(set(map(_plain, flat))) <= 1:
            made = self.call("aten.full.default", list(value.shape), first, dtype=value.dtype, device=_META)
        elif all(not isinstance(item, _SYMBOLIC) for item in flat):
            made = self.leaf("constant", f"{self.place.name}_constant", "", value.shape, value.dtype)
        else:
            parts = [self.call("aten.full.default", [], item, dtype=value.dtype, device=_META) for item in flat]
            made = self.call("aten.reshape.default", self.call("aten.stack.default", parts), list(value.shape))
        value.fake, value.ref = made.fake, made.ref

    def _item(self, ref: str, index: int, fake: torch.Tensor) -> Value:
        return _value(fake, self._record("call", "getitem", (Ref(ref), index), {}, (fake,)))

    def _record(
        self, kind: str, target: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], fakes: tuple[Any, ...]
    ) -> str:
        name = self._unique(self.place.name)
        self._records.append(_Record(name, kind, target, args, kwargs, fakes, self.place))
        return name

    def _unique(self, name: str) -> str:
        base = re.sub(r"\W", "_", name).strip("_") or "node"
        base = base if not base[0].isdigit() else f"_{base}"
        count = self._taken.get(base, 0)
        chosen = base if count == 0 else f"{base}_{count}"
        while chosen in self._taken:
            count += 1
            chosen = f"{base}_{count}"
        self._taken[base] = count + 1
        self._taken.setdefault(chosen, 1)
        return chosen

    def graph(self, results: Iterable[Value]) -> Graph:
        """Everything written down so far that the results need, inputs always included."""
        refs = []
        for value in results:
            value.tensor()
            refs.append(value.ref)
        nodes = tuple(self._node(record) for record in self._records)
        return Graph(
            _needed(nodes, refs), tuple(refs), self.symbols.free(), self.symbols.guards(), self.symbols.ranges()
        )

    def _node(self, record: _Record) -> Node:
        return Node(
            name=record.name,
            kind=record.kind,
            target=record.target,
            args=self._arg(record.args),
            kwargs=tuple((key, self._arg(item)) for key, item in record.kwargs.items()),
            outputs=tuple(self._spec(fake) for fake in record.fakes),
            modules=record.place.modules,
            source=record.place.source,
        )

    def _spec(self, fake: torch.Tensor) -> TensorSpec:
        if id(fake) not in self._specs:
            self._specs[id(fake)] = self.symbols.spec(fake)
        return self._specs[id(fake)]

    def _arg(self, arg: Any) -> Any:
        if isinstance(arg, Value):
            return Ref(arg.ref)
        if isinstance(arg, (tuple, list)):
            return tuple(self._arg(item) for item in arg)
        if isinstance(arg, torch.SymInt):
            text = self.symbols.text(arg)
            return Size(text) if isinstance(text, str) else text
        if isinstance(arg, (torch.SymFloat, torch.SymBool)):
            return self.symbols.number(arg)
        if arg is None or isinstance(arg, (bool, int, float, str, Ref)):
            return arg
        return str(arg)


_META = torch.device("meta")
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def _plain(value: Any) -> Any:
    """A key for `value`: symbolic numbers are kept apart without comparing them, which would guard."""
    return str(value) if isinstance(value, _SYMBOLIC) else (type(value), value)


def _value(fake: torch.Tensor, ref: str) -> Value:
    return Value(fake.dtype, tuple(fake.shape), fake=fake, ref=ref)


def _values(args: Any) -> Iterable[Value]:
    if isinstance(args, Value):
        yield args
    elif isinstance(args, (tuple, list)):
        for item in args:
            yield from _values(item)


def _run(arg: Any) -> Any:
    if isinstance(arg, Value):
        return arg.tensor()
    if isinstance(arg, (tuple, list)):
        return [_run(item) for item in arg]
    return arg


def _key(arg: Any) -> Any:
    """A key that is equal for equal arguments: tensors by identity, symbolic numbers by their expression."""
    if isinstance(arg, torch.Tensor):
        return ("tensor", id(arg))
    if isinstance(arg, (tuple, list)):
        return tuple(map(_key, arg))
    if isinstance(arg, _SYMBOLIC):
        return ("symbol", arg.node.expr)
    return (type(arg), arg)


@lru_cache(maxsize=1024)
def _overload(target: str) -> Any:
    found: Any = torch.ops
    for part in target.split("."):
        found = getattr(found, part)
    return found


def _needed(nodes: tuple[Node, ...], results: Sequence[str]) -> tuple[Node, ...]:
    """`nodes` without the calls and weights that no result depends on."""
    needed = set(results)
    kept = []
    for node in reversed(nodes):
        if node.name in needed or node.kind == "input":
            needed.update(node.refs)
            kept.append(node)
    return tuple(reversed(kept))
