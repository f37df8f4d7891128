"""Which calls a compiler merges: chains of pointwise work between products, as torch.compile's inductor does.

A call is merged into the one that reads it when both are pointwise, a normalization, a softmax, a reduction, a copy
or a lookup, and nothing else reads it. The tensor between them then stays on the chip: not written, not read, no
launch. A normalization is not merged into another, since each sweeps its rows by itself. Source of the rule:
pytorch, torch/_inductor/scheduler.py, `can_fuse` (vertical fusion); horizontal fusion is not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphlab.graph import Graph, Node
from graphlab.kernels.data import Kernel

_MERGES = ("pointwise", "normalization", "softmax", "reduction", "movement", "lookup")
_SWEEPS = ("normalization", "softmax", "reduction")


def merged_kernels(graph: Graph, kernels: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """{call: kernel} of `graph` after merging; `kernels` are those of its calls, attention already one kernel.

    Calls missing from `kernels` belong to an attention whose kernel stands elsewhere. Views are left out.
    """
    found = {name: kernel for name, kernel in kernels.items() if kernel.family != "none"}
    for node in graph.calls:
        kernel = found.get(node.name)
        if kernel is None or kernel.family not in _MERGES:
            continue
        reader, kept = _only_reader(graph, node, kernels)
        into = found.get(reader) if reader is not None else None
        if reader is None or into is None or not _can_merge(kernel, into):
            continue
        own = into.strided if into.strided is not None and into.strided.nbytes != kept else None
        found[node.name] = replace(kernel, family="merged", bytes_written=0)
        found[reader] = replace(into, bytes_read=max(into.bytes_read - kept, 0), strided=own)
    return found


def _can_merge(kernel: Kernel, into: Kernel) -> bool:
    if into.family not in _MERGES or not kernel.bytes_written:
        return False
    return not (kernel.family in _SWEEPS and into.family in _SWEEPS)


def _only_reader(graph: Graph, node: Node, kernels: Mapping[str, Kernel]) -> tuple[str | None, int]:
    """(the one call that reads what `node` makes, bytes of it that it reads), looking through views.

    (None, 0) for several readers, several outputs (one of them may go elsewhere), or a result.
    """
    made = node
    while True:
        users = graph.users[made.name]
        if len(users) != 1 or len(made.outputs) != 1 or made.name in graph.results:
            return None, 0
        user = users[0]
        kernel = kernels.get(user.name)
        if kernel is None or kernel.family != "none":
            return (user.name, made.out.distinct_bytes) if kernel is not None else (None, 0)
        made = user
