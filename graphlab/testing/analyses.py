"""`check_analysis`: what every analysis has to keep, in one call."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils import _pytree

from graphlab.graph import Graph
from graphlab.passes_base import Analysis
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.report.plain import NoFactError, plain
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.sources.module import capture
from graphlab.sources.record import graph_from_json, graph_to_json
from graphlab.sources.stage import mismatch
from graphlab.testing.failure import CheckFailed, running
from graphlab.testing.numbers import inputs_of

T = TypeVar("T")
Args = tuple[Any, ...]


def check_analysis(
    analysis: Analysis[T],
    module: torch.nn.Module,
    args: Args,
    *,
    expected: object,
    by_node: bool = True,
    others: Sequence[Args] = (),
) -> T:
    """The facts of `analysis` about `module` called with `args`, which keep what every analysis has to.

    1. They are `expected`: equal as JSON values, so dataclasses may be written as dictionaries.
    2. The same graph gives the same facts, in the same order, and nothing it was given is written into.
    3. With `by_node` they are a mapping whose keys are nodes of the graph.
    4. A `.pt2` and a capture from the cache give the same facts as the live one.
    5. At `others`, arguments of other sizes, a symbolic capture gives the facts that a capture at those sizes does;
       an analysis that says it is not `sized` gives the same facts at all of them.

    CheckFailed, an AssertionError, says which of these failed, what was expected and what was found.
    """
    if not isinstance(analysis, Analysis):
        raise CheckFailed("the call", f"a {type(analysis).__name__} is no instance of graphlab.passes_base.Analysis")
    with running("the call", "the module cannot be captured"):
        program = capture(module.eval().requires_grad_(False), args, name="test")
    facts, shown = _facts(analysis, program.graph, program.graph.symbols, "facts")
    _check_expected(expected, shown)
    _check_same("deterministic", "a second run", shown, _shown(analysis, program.graph, program.graph.symbols))
    if by_node:
        _check_names(program.graph, shown)
    _check_reloaded(analysis, program, shown)
    for other in others:
        _check_other(analysis, module, program, other, shown)
    return facts


def _facts(analysis: Analysis[T], graph: Graph, sizes: Mapping[str, int], test: str) -> tuple[T, Any]:
    """(the facts, the facts as JSON values) of `analysis` about `graph` at `sizes`."""
    before = repr(analysis)
    with running(test, "the analysis failed"):
        facts = Facts(graph, dict(sizes)).of(analysis)
    if repr(analysis) != before:
        raise CheckFailed(test, f"it changed itself: {before} is now {analysis!r}", hint="keep no state: return it")
    try:
        return facts, plain(facts)
    except NoFactError as error:
        hint = "return dataclasses, mappings, sequences, numbers and texts"
        raise CheckFailed(test, f"no report can hold what it returned: {error}", hint=hint) from error


def _shown(analysis: Analysis[T], graph: Graph, sizes: Mapping[str, int], test: str = "deterministic") -> Any:
    return _facts(analysis, graph, sizes, test)[1]


def _check_expected(expected: object, shown: Any) -> None:
    with running("facts", "what is expected cannot be written as JSON"):
        wanted = plain(expected)
    if wanted != shown:
        raise CheckFailed("facts", f"they are others: {_difference(wanted, shown)}")


def _check_same(test: str, what: str, first: Any, second: Any) -> None:
    if json.dumps(first) != json.dumps(second):
        order = "; the order differs" if first == second else ""
        raise CheckFailed(test, f"{what} gives other facts{order}: {_difference(first, second)}")


def _check_names(graph: Graph, shown: Any) -> None:
    if not isinstance(shown, Mapping):
        hint = "pass by_node=False for facts about the whole"
        raise CheckFailed("nodes", f"the facts are a {type(shown).__name__}, not a mapping of nodes", hint=hint)
    strange = [name for name in shown if name not in graph.by_name]
    if strange:
        hint = "pass by_node=False for facts that are keyed by something else"
        raise CheckFailed("nodes", f"the graph has no node {', '.join(map(repr, strange[:5]))}", hint=hint)


def _check_reloaded(analysis: Analysis[Any], program: Program, shown: Any) -> None:
    assert program.exported is not None
    cached = graph_from_json(json.loads(json.dumps(graph_to_json(program.graph))))
    _check_same("cached", "a capture from the cache", shown, _shown(analysis, cached, program.graph.symbols, "cached"))
    with tempfile.TemporaryDirectory() as folder, running("reloaded", "the program cannot be saved and loaded"):
        path = Path(folder) / "test.pt2"
        torch.export.save(program.exported, path)
        loaded = extract(load_exported_program(path))
    _check_same("reloaded", "a .pt2", shown, _shown(analysis, loaded, loaded.symbols, "reloaded"))


def _check_other(analysis: Analysis[Any], module: torch.nn.Module, program: Program, args: Args, shown: Any) -> None:
    test = f"at {inputs_of(args)}"
    sizes = _sizes(program, args)
    broken = mismatch(program.graph, sizes)
    if broken is not None:
        raise CheckFailed(test, f"the capture does not hold there: {broken}", hint="choose other sizes")
    moved = _shown(analysis, program.graph, {symbol: sizes[symbol] for symbol in program.graph.symbols}, test)
    if not analysis.sized:
        _check_same(test, "an analysis that says it is not sized", shown, moved)
        return
    with running(test, "the module cannot be captured"):
        fixed = capture(module, args, dynamic=False, name="test")
    if [node.name for node in fixed.graph.nodes] != [node.name for node in program.graph.nodes]:
        raise CheckFailed(test, "the module has another graph there", hint="choose other sizes")
    _check_same(test, "a capture at these sizes", moved, _shown(analysis, fixed.graph, {}, test))


def _sizes(program: Program, args: Args) -> dict[str, int]:
    """{"x.d1": size} of every axis of every tensor of `args`."""
    tensors = [item for item in _pytree.tree_leaves(args) if isinstance(item, torch.Tensor)]
    inputs = program.graph.inputs
    if len(tensors) != len(inputs) or any(
        len(node.out.shape) != tensor.dim() for node, tensor in zip(inputs, tensors, strict=False)
    ):
        raise CheckFailed(f"at {inputs_of(args)}", "these are not the arguments the module was captured with")
    return {
        f"{node.name}.d{dim}": int(size)
        for node, tensor in zip(inputs, tensors, strict=True)
        for dim, size in enumerate(tensor.shape)
    }


def _difference(expected: Any, found: Any) -> str:
    """The first things that differ between two JSON values, in words."""
    if not (isinstance(expected, Mapping) and isinstance(found, Mapping)):
        return f"expected {_short(expected)}, found {_short(found)}"
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    changed = [name for name in expected if name in found and expected[name] != found[name]]
    parts = [f"{name!r} is missing" for name in missing[:3]] + [f"{name!r} is new" for name in extra[:3]]
    parts += [f"{name!r} is {_short(found[name])}, expected {_short(expected[name])}" for name in changed[:3]]
    return "; ".join(parts) or "the same values in another order"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
