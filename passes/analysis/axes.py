"""axes: where every axis of every tensor comes from, and what the axes of the inputs mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from graphlab.facts import AxisFacts
from graphlab.flow import written_into
from graphlab.graph import Graph, Node, TensorSpec
from graphlab.ops import rule_for
from graphlab.ops.axes import AxisCall, trace_axes
from graphlab.ops.lineage import Axes, Axis, Factor, is_known, origins, product, resized
from graphlab.passes_base import Analysis, AnalysisInput


@dataclass(frozen=True)
class AxesAnalysis(Analysis[AxisFacts]):
    """Lineage of every axis, and the meaning of input axes, from data flow alone.

    Traced at the sizes of the capture, where a batch of 2 and unequal sides keep axes apart. An axis is
    `height` or `width` when a two-dimensional convolution or resampling slides over it; `frames` when it
    belongs to an input with such axes, is not one of them and is not the batch; `batch` when it leads and
    is never mixed; `tokens` when it is another axis that attention or an embedding runs along.
    """

    name: ClassVar[str] = "axes"
    sized: ClassVar[bool] = False

    def run(self, given: AnalysisInput) -> AxisFacts:
        """Lineage of every axis of `given.example`, and the meaning of input axes."""
        graph = given.example
        specs = {node.name: node.outputs for node in graph.nodes}
        axes: dict[str, tuple[Axes, ...]] = {}
        symbol_of = _shared_symbols(given)
        for node in graph.nodes:
            if node.kind == "call":
                axes[node.name] = trace_axes(rule_for(node.target), AxisCall(node, axes, specs))
                written = written_into(graph, node)
                if written is not None:
                    axes[written] = _overwritten(axes[written], axes[node.refs[-1]])
            else:
                axes[node.name] = tuple(_leaf(node, spec, symbol_of) for spec in node.outputs)
        return AxisFacts(axes, _meanings(graph, axes, given.packed, specs, symbol_of))


def _overwritten(target: tuple[Axes, ...], value: tuple[Axes, ...]) -> tuple[Axes, ...]:
    """Axes of a tensor after `value` was written into part of it: what was anonymous takes the value's origins."""
    if len(target[0]) != len(value[0]):
        return target
    pairs = zip(target[0], value[0], strict=True)
    return (tuple(resized(new, product(old)) if is_known(new) and not is_known(old) else old for old, new in pairs),)


def _shared_symbols(given: AnalysisInput) -> Mapping[str, str]:
    """{axis: the axis that first shows the same symbol}: encoder_hidden_states.d0 is sample.d0, the batch."""
    shared: dict[str, str] = {}
    for node in given.symbolic.inputs:
        for index, size in enumerate(node.out.shape):
            if isinstance(size, str) and size in given.symbolic.symbols:
                shared[f"{node.name}.d{index}"] = size
    return shared


def _leaf(node: Node, spec: TensorSpec | None, symbol_of: Mapping[str, str]) -> Axes:
    if spec is None:
        return ()
    mark = "" if node.kind == "input" else "%"

    def axis(index: int, size: int) -> Axis:
        name = f"{node.name}.d{index}"
        return (Factor(size, frozenset({f"{mark}{symbol_of.get(name, name)}"})),) if size != 1 else ()

    return tuple(axis(index, size) for index, size in enumerate(spec.shape))


def _meanings(
    graph: Graph,
    axes: Mapping[str, tuple[Axes, ...]],
    packed: Mapping[str, tuple[str, ...]],
    specs: Mapping[str, tuple[TensorSpec | None, ...]],
    symbol_of: Mapping[str, str],
) -> dict[str, str]:
    acts = _Acts(graph, axes, specs)
    acts.unify(same_axes(graph, axes))
    meaning: dict[str, str] = {}
    for node in graph.inputs:
        names = [symbol_of.get(f"{node.name}.d{i}", f"{node.name}.d{i}") for i in range(len(node.out.shape))]
        sides = [name for name in names if name in acts.rows or name in acts.columns]
        for index, name in enumerate(names):
            if name in meaning or name in packed:
                continue
            found = acts.meaning(name, index, names, sides)
            if found is not None:
                meaning[name] = found
    return meaning


def same_axes(graph: Graph, axes: Mapping[str, tuple[Axes, ...]]) -> dict[str, frozenset[str]]:
    """{input axis: the input axes it was lined up with by elementwise operators, itself included}.

    `timestep` scales `sample` per image, so timestep.d0 is the batch; rotary tables made of `img_ids`
    multiply queries, so img_ids.d0 runs over the same tokens.
    """
    groups: dict[str, set[str]] = {}
    for node in graph.calls:
        rule = rule_for(node.target)
        if rule is None or rule.axes != "broadcast" or len(node.refs) < 2:
            continue
        operands = [axes[ref][0] for ref in node.refs]
        for position in range(1, len(node.out.shape) + 1):
            column = [axis[-position] for axis in operands if len(axis) >= position]
            for names in _aligned(column):
                joined = names.union(*(groups.get(name, {name}) for name in names))
                for name in joined:
                    groups[name] = joined
    return {name: frozenset(joined) for name, joined in groups.items()}


def _aligned(column: list[Axis]) -> Iterator[set[str]]:
    """Sets of input axes that stand at the same place of axes with the same factors."""
    known = [axis for axis in column if any(factor.known for factor in axis)]
    if len(known) < 2 or len({tuple(f.size for f in axis) for axis in known}) != 1:
        return
    for factors in zip(*known, strict=True):
        parts = [factor.parts or ((factor.size, factor.origins),) for factor in factors]
        if len({tuple(size for size, _ in part) for part in parts}) == 1:
            for pieces in zip(*parts, strict=True):
                names = {name for _, part in pieces for name in _known(part)}
                if len(names) > 1 and all(len(_known(part)) == 1 for _, part in pieces):
                    yield names


class _Acts:
    """What convolutions, resampling, attention and lookups do to input axes."""

    def __init__(
        self,
        graph: Graph,
        axes: Mapping[str, tuple[Axes, ...]],
        specs: Mapping[str, tuple[TensorSpec | None, ...]],
    ) -> None:
        self.rows: set[str] = set()
        self.columns: set[str] = set()
        self.depths: set[str] = set()
        self.convolved_alone: set[str] = set()
        self.batched: set[str] = set()
        self.attended: set[str] = set()
        self.looked_up: set[str] = set()
        self.channels: set[str] = set()
        self.isotropic = True
        for node in graph.calls:
            rule = rule_for(node.target)
            if rule is None:
                continue
            first = axes[node.refs[0]][0] if node.refs else ()
            if rule.axes == "convolution" and len(node.refs) > 1:
                self._convolution(node, first, specs[node.refs[1]][0])
            elif rule.axes in ("resample", "pixel_shuffle") and len(first) >= 4:
                self._sides(first[-2], first[-1])
            elif rule.axes == "attention":
                self.attended |= _known(origins(first[-2])) | _known(origins(axes[node.refs[1]][0][-2]))
                for axis in first[:-2]:
                    self.batched |= _known(origins(axis))
            elif rule.category == "normalization" and "softmax" in node.target and len(first) >= 2:
                self.attended |= _known(origins(first[-1])) | _known(origins(first[-2]))
                for axis in first[:-2]:
                    self.batched |= _known(origins(axis))
            elif ".pad." in node.target or "constant_pad" in node.target:
                self._padding(node)
            elif rule.axes == "embedding":
                for axis in axes[node.refs[1]][0]:
                    self.looked_up |= _known(origins(axis))
            elif rule.category in ("linear", "matmul") and first:
                self.channels |= _known(origins(first[-1]))

    def unify(self, same: Mapping[str, frozenset[str]]) -> None:
        """What happens to an axis happens to the axes it is lined up with."""
        for known in (self.batched, self.attended, self.rows, self.columns, self.depths):
            known.update(*(same.get(name, frozenset()) for name in tuple(known)))

    def _convolution(self, node: Node, first: Axes, weight: TensorSpec | None) -> None:
        rank = len(weight.shape) - 2 if weight is not None else 0
        tail = first[len(first) - rank :]
        self.channels |= _known(origins(first[len(first) - rank - 1]))
        if rank >= 2 and len(tail) == rank:
            self._sides(tail[-2], tail[-1])
        if rank == 1 and tail:
            self.convolved_alone |= _known(origins(tail[0]))
        if rank == 2 and len(first) > rank:
            self.batched |= _known(origins(first[0]))
        if rank == 3 and len(tail) == 3 and weight is not None:
            self.depths |= _known(origins(tail[0]))
            kernel = weight.shape[-3:]
            settings = [value for value in node.args[3:5] if isinstance(value, tuple) and len(value) == 3]
            if kernel[0] != kernel[2] or any(value[0] != value[2] for value in settings):
                self.isotropic = False

    def _padding(self, node: Node) -> None:
        """Causal video convolutions pad frames on one side: depth is not a third side."""
        pad = node.args[1] if len(node.args) > 1 else ()
        if isinstance(pad, tuple) and len(pad) == 6 and pad[4:] != pad[:2]:
            self.isotropic = False

    def _sides(self, row: Axis, column: Axis) -> None:
        self.rows |= _known(origins(row))
        self.columns |= _known(origins(column))

    def meaning(self, name: str, index: int, names: list[str], sides: list[str]) -> str | None:
        """The meaning of the input axis `name`: dimension `index` of an input with axes `names`, spatial `sides`."""
        if name in self.rows and name not in self.columns:
            return "height"
        if name in self.columns and name not in self.rows:
            return "width"
        if name in self.depths:
            return "frames" if not self.isotropic or name in self.batched else None
        if name in self.channels and name not in self.attended:
            return None
        if len(sides) >= 2 and name not in sides:
            if name in self.attended or name in self.convolved_alone:
                return "frames"
            return "batch" if index == 0 else None
        if name in self.attended:
            # Several attended axes of one input are the sides of something packed by hand: which is unseen.
            return "tokens" if sum(other in self.attended for other in names) == 1 else None
        if name in self.batched:
            return "batch" if index == 0 else None
        if name in self.convolved_alone:
            return "tokens"
        return "tokens" if name in self.looked_up and (index > 0 or len(names) == 1) else None


def _known(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("%")}
