"""Several rewrites in order, again and again until none changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import pass_from
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite

LEVELS: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("drop-noops", "fold-constants", "eliminate-common", "eliminate-dead"),
    2: (
        "drop-noops",
        "fold-constants",
        "fold-conv-bn",
        "fuse-attention",
        "eliminate-common",
        "fuse-qkv",
        "fuse-kv",
        "fuse-geglu",
        "fuse-groupnorm-silu",
        "fuse-skip-layernorm",
        "eliminate-dead",
    ),
}
"""Names of the passes of -O1 (clean-up) and -O2 (all exact ones that keep the signature), in order."""

MOST_ROUNDS = 16
"""Rounds of the pipeline; real programs need two or three."""

Watch = Callable[[Rewrite, Draft], None]
"""Called after a pass changed something."""


@dataclass
class _Clock:
    seconds: dict[str, float]

    def run(self, item: Rewrite, draft: Draft) -> int:
        start = time.perf_counter()
        changed = item.edit(draft)
        self.seconds[item.name] = self.seconds.get(item.name, 0.0) + time.perf_counter() - start
        return changed


def level_passes(level: int) -> tuple[Rewrite, ...]:
    """The passes of -O`level`."""
    return tuple(rewrite_from(name) for name in LEVELS[level])


def rewrite_from(spec: str) -> Rewrite:
    """The rewrite of "NAME[,KEY=VALUE]..."; GraphlabError when the pass is none."""
    found = pass_from(spec)
    if not isinstance(found, Rewrite):
        raise GraphlabError(f"pass {found.name!r} is no rewrite of a program", hint=_other_use(found))
    return found


def _other_use(found: Any) -> str:
    from graphlab.passes_base import Analysis

    return "analyses run under `graphlab analyze`" if isinstance(found, Analysis) else "it rewrites whole stages"


def run_passes(
    program: Program, passes: Sequence[Rewrite], *, to_fixed_point: bool = True, watch: Watch | None = None
) -> RewriteResult:
    """`program` after `passes` in order, repeated until a round changes nothing.

    With `to_fixed_point=False` each pass runs once. GraphlabError when passes undo each other: the graph comes back
    to a form it had before, and would do so for ever.
    """
    draft, clock = Draft(program), _Clock({})
    entries: dict[str, None] = {}
    seen = {_form(draft): 0}
    for _ in range(MOST_ROUNDS):
        before, active = len(draft.changes), []
        for item in passes:
            if clock.run(item, draft):
                active.append(item.name)
                entries[item.entry(draft)] = None
                if watch is not None:
                    watch(item, draft)
        if not to_fixed_point or len(draft.changes) == before:
            break
        form = _form(draft)
        if form in seen:
            raise GraphlabError(
                f"passes undo each other: {' and '.join(dict.fromkeys(active))} change the program back to what it was",
                hint="leave one of them out; the program is unchanged",
            )
        seen[form] = len(seen)
    else:
        raise GraphlabError(f"{', '.join(active)} still change the program after {MOST_ROUNDS} rounds")
    result = draft.finish(tuple(entries))
    return replace(result, seconds=tuple(clock.seconds.items()))


def _form(draft: Draft) -> int:
    """A hash of what the draft computes, independent of the names of its nodes; new weights are never old ones."""
    place: dict[torch.fx.Node, int] = {}
    form = len(draft.reweighting)
    for index, node in enumerate(draft.graph.nodes):
        place[node] = index
        target = node.target if node.op in ("placeholder", "get_attr") else str(node.target)
        args = torch.fx.map_arg((node.args, node.kwargs), lambda n: place[n])
        form = hash((form, node.op, target, repr(args)))
    return form
