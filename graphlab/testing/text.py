"""Programs as text: what the before and after of a rewrite's test are written in."""

from __future__ import annotations

import difflib
import textwrap

import torch

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting.difference import line


def program_text(program: Program) -> str:
    """The calls of `program`, a line each in execution order, and what it returns.

    Lines are as `graphlab rewrite --diff` writes them: "relu_1 = aten.relu(relu)". Reads of sizes are left out.
    GraphlabError for a program that is only known by its graph.
    """
    if program.exported is None:
        raise GraphlabError(f"{program.name} has no exported program behind it", hint="capture it without the cache")
    graph = program.exported.graph
    calls = [line(node) for node in graph.nodes if node.op == "call_function" and not _is_size(node)]
    results = graph.output_node().args[0]
    assert isinstance(results, (tuple, list))
    return "\n".join([*calls, f"return {', '.join(map(str, results))}"])


def _is_size(node: torch.fx.Node) -> bool:
    return isinstance(node.meta.get("val"), (int, torch.SymInt))


def normal(text: str) -> list[str]:
    """The lines of a text an author wrote: indentation, empty lines and spaces at the ends do not count."""
    return [row.strip() for row in textwrap.dedent(text).strip().splitlines() if row.strip()]


def difference(expected: list[str], found: list[str]) -> str:
    """What differs between two texts, a line each: "-" is expected, "+" is found."""
    rows = list(difflib.ndiff(expected, found))
    return "\n".join(row.rstrip() for row in rows if not row.startswith("?"))
