"""Models of half precision: everything cast but for islands, which are found by checking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from graphlab.exporting.checking.divergence import Divergence
from graphlab.exporting.checking.report import CheckReport
from graphlab.exporting.errors import ExportError
from graphlab.exporting.retype import retyped
from graphlab.exporting.translate import Lowered, to_onnx
from graphlab.graph import Graph, Node
from graphlab.ops import rule_for
from graphlab.program import Program

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
MOST_ROUNDS = 8
"""Models that are written and checked before the islands found so far are all there will be."""

_ANGLES = ("aten.sin.default", "aten.cos.default")
_SPREADS = ("elementwise", "movement", "other")
"""Categories of the operators that a table of angles is made by: nothing that contracts, reduces or normalises."""

Attempt: TypeAlias = "Callable[[Lowered], tuple[CheckReport, Divergence | None]]"
"""Writes and checks a model; where it fails, also says at which node it starts to differ."""


@dataclass(frozen=True, slots=True)
class Halved:
    """A model of half precision with its check. `islands` are {node in float32: why}; `found` is where a model that
    fails it starts to differ."""

    lowered: Lowered
    report: CheckReport
    islands: Mapping[str, str]
    found: Divergence | None = None


def to_half(
    lowered: Lowered, dtype: str, islands: Collection[str] = (), names: Mapping[str, str] | None = None
) -> Lowered:
    """`lowered` in `dtype`: weights, floating inputs and results too; the nodes `islands` compute in float32.

    float32 widens a program of half precision. Islands are names of `lowered.program`; values inside the model stay
    called like its nodes. `names` are those given to `to_onnx`. Weights are cast when `Values` hands them out: give it
    the program before the rewrite as base, and `new_tensors` of the result. ExportError for an operator that does not
    take the dtype, and names that are no nodes.
    """
    program = retyped(lowered.program, DTYPES[dtype], islands)
    if program is lowered.program:
        return lowered
    made = to_onnx(program, lowered.target, names)
    return replace(made, new_tensors=(*lowered.new_tensors, *made.new_tensors), skips=lowered.skips)


def halved(
    lowered: Lowered,
    dtype: str,
    attempt: Attempt,
    names: Mapping[str, str] | None = None,
    large: Mapping[str, float] | None = None,
) -> Halved:
    """`lowered` in the half precision `dtype` with as few islands as its check needs; the last attempt's report.

    Tables of sines and cosines are islands from the start (`angle_tables`), and so are the values `large` ({node:
    magnitude}, of `checking.ranges.overflows`) with those who read them. Where the check fails, the node at which
    the model starts to differ becomes one, with all that do the same in modules of the same class; of a value that
    does not fit the dtype also those that read it. A model that still differs after MOST_ROUNDS, or differs nowhere in
    particular, is given back as it is: `report.ok` is False.
    """
    graph = lowered.program.graph
    islands = dict.fromkeys(sorted(angle_tables(graph)), "a table of angles")
    for name, largest in (large or {}).items():
        reach = dict.fromkeys((name, *_readers(graph, name)), f"{name} reaches {largest:.3g}")
        islands = {**reach, **islands}
    for attempted in range(MOST_ROUNDS):
        made = to_half(lowered, dtype, islands, names)
        report, found = attempt(made)
        if report.ok or found is None or attempted == MOST_ROUNDS - 1:
            break
        grown = _grown(lowered.program, made.program, found) - islands.keys()
        if not grown:
            break
        islands |= dict.fromkeys(sorted(grown), found.why or f"error {found.error:.2g} at {found.name}")
    return Halved(made, report, islands, found)


def angle_tables(graph: Graph) -> frozenset[str]:
    """Nodes that compute sines and cosines of positions and timesteps, and the angles: half precision is 0.5 apart at
    1000 rad. So are integers made of floats (buckets of distances): rounding makes other ones. Not those that are
    activations: what they read is made by contractions or norms."""
    found: set[str] = set()
    for node in graph.calls:
        if node.target in _ANGLES:
            found |= _table(graph, node) or set()
        elif _counts(graph, node):
            table = _table(graph, node)
            found |= {node.name, *table} if table else set()
    return frozenset(found)


def _counts(graph: Graph, node: Node) -> bool:
    """Whether `node` makes integers of floating numbers."""
    return "int" in node.out.dtype and any("float" in graph.by_name[name].out.dtype for name in node.refs)


def _table(graph: Graph, node: Node) -> set[str] | None:
    """`node` and the floating calls it is made by; None when an operator is among them that makes no table."""
    found: set[str] = set()
    pending = [node]
    while pending:
        item = pending.pop()
        if item.kind != "call" or item.name in found:
            continue
        known = rule_for(item.target)
        if known is not None and known.category not in _SPREADS:
            return None
        found.add(item.name)
        pending.extend(graph.by_name[name] for name in item.refs)
    return {name for name in found if "float" in graph.by_name[name].out.dtype}


def _grown(wide: Program, half: Program, found: Divergence) -> set[str]:
    """Nodes of `wide` to keep in float32 because `half` differs at `found`."""
    graph = wide.graph
    if found.name not in graph.by_name:  # a cast behind an island: its value does not fit
        made = half.graph.by_name[found.name]
        source = next(iter(made.refs), "")
        if source not in graph.by_name:
            raise ExportError(f"node {found.name} of the cast model is none of the program's")
        return set(_readers(graph, source))
    node = graph.by_name[found.name]
    alike = {other.name for other in graph.calls if _kind(other) == _kind(node)}
    return alike | {name for item in alike for name in _readers(graph, item)} if found.why else alike


def _kind(node: Node) -> tuple[str, str]:
    return node.target, node.modules[-1][1] if node.modules else ""


def _readers(graph: Graph, name: str) -> Iterator[str]:
    """Who computes with the value `name`, and the views on the way."""
    for user in graph.users[name]:
        yield user.name
        known = rule_for(user.target)
        if known is not None and known.moves != "compute":
            yield from _readers(graph, user.name)
