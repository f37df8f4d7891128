"""The modules of a graph: classes told from the module stacks of its calls, weights from their keys."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.graph import Graph
from graphlab.report.stage_data import ModuleRow


def module_rows(graph: Graph) -> Iterator[ModuleRow]:
    """A row for every module that a call runs in or that holds a weight, and for those around it.

    A module comes before those in it, and those of one module in the order of their first call, the ones that nothing
    calls last.
    """
    classes: dict[str, str] = {}
    first: dict[str, int] = {}
    for index, node in enumerate(graph.calls):
        for path, kind in node.modules:
            classes.setdefault(path, kind.rsplit(".", 1)[-1])
            for home in (path, *_around(path)):
                first.setdefault(home, index)
    held: dict[str, list[int]] = {}
    for node in graph.weights:
        counts = held.setdefault(node.target.rpartition(".")[0], [0, 0])
        counts[0] += node.out.numel if node.kind == "parameter" else 0
        counts[1] += node.out.nbytes
    paths = {path for known in (*classes, *held) for path in (known, *_around(known))}
    never = len(graph.calls)
    for path in sorted(paths, key=lambda path: [(first.get(home, never), home) for home in (*_around(path), path)]):
        parameters, nbytes = held.get(path, (0, 0))
        yield ModuleRow(path, classes.get(path, ""), parameters, nbytes)


def _around(path: str) -> list[str]:
    """Paths of the modules around the one at `path`, from the stage itself ("") inwards."""
    names = path.split(".") if path else []
    return [".".join(names[:depth]) for depth in range(len(names))]
