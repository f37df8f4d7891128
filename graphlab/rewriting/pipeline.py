"""Several rewrites in order, again and again until none changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from graphlab.errors import GraphlabError
from graphlab.plugins import called
from graphlab.program import Program
from graphlab.rewriting.change import Change
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import own_pass_from
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite

LEVELS: dict[int, tuple[str, ...]] = {
    0: (),
    1: ("drop-noops", "fold-constants", "eliminate-common", "eliminate-dead"),
    2: (
        "drop-noops",
        "fuse-attention",
        "fuse-rotary-embedding",
        "fold-constants",
        "fold-conv-bn",
        "eliminate-common",
        "fuse-qkv",
        "fuse-kv",
        "fuse-rms-norm",
        "fuse-gelu",
        "fuse-geglu",
        "fuse-groupnorm-silu",
        "fuse-skip-layernorm",
        "fuse-skip-rms-norm",
        "eliminate-dead",
    ),
}
"""Names of the passes of -O1 (clean-up) and -O2 (all exact ones that keep the signature), in order.

Attention comes before folding: a mask folded into a tensor no longer shows that it is causal at every size. So do
rotary embeddings: a folded table no longer shows how it was made. The norms come before what fuses a sum into them.
"""

MOST_ROUNDS = 16
"""Rounds of the pipeline; real programs need two or three. A round more tells which passes undo each other."""

Watch = Callable[[Rewrite, Draft], None]
"""Called after a pass changed something."""


def level_passes(level: int) -> tuple[Rewrite, ...]:
    """The passes of -O`level`."""
    return tuple(rewrite_from(name) for name in LEVELS[level])


def rewrite_from(spec: str) -> Rewrite:
    """The rewrite that graphlab itself calls "NAME[,KEY=VALUE]..."; GraphlabError when the pass is none."""
    found = own_pass_from(spec)
    if not isinstance(found, Rewrite):
        raise GraphlabError(f"pass {found.name!r} is no rewrite of a program", hint=_other_use(found))
    return found


def _other_use(found: Any) -> str:
    from graphlab.passes_base import Analysis

    return "analyses run under `graphlab analyze`" if isinstance(found, Analysis) else "it rewrites whole stages"


def run_passes(
    program: Program,
    passes: Sequence[Rewrite],
    *,
    last: Sequence[Rewrite] = (),
    to_fixed_point: bool = True,
    watch: Watch | None = None,
) -> RewriteResult:
    """`program` after `passes` in order, repeated until a round changes nothing.

    Passes that mean to change values (`exact = False`) run first, in order and once: they speak of the weights the
    program came with. With `to_fixed_point=False` the others run once too. GraphlabError when passes undo each other:
    the graph comes back to a form it had before, and would do so for ever.
    """
    run = _Run(Draft(program), watch)
    run.round([item for item in passes if not item.exact])
    exact = [item for item in passes if item.exact]
    if to_fixed_point:
        run.to_fixed_point(exact)
    else:
        run.round(exact)
    run.round(last)
    result = run.draft.finish(tuple(run.entries))
    return replace(result, seconds=tuple(run.seconds.items()))


@dataclass
class _Run:
    draft: Draft
    watch: Watch | None
    entries: dict[str, None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def round(self, passes: Sequence[Rewrite]) -> list[str]:
        """Runs every pass once; the names of those that changed something."""
        active = []
        for item in passes:
            start = time.perf_counter()
            changed = item.edit(self.draft)
            self.seconds[item.name] = self.seconds.get(item.name, 0.0) + time.perf_counter() - start
            if changed:
                active.append(item.name)
                self.entries[item.entry(self.draft)] = None
                if self.watch is not None:
                    self.watch(item, self.draft)
        return active

    def to_fixed_point(self, passes: Sequence[Rewrite]) -> None:
        """Rounds until one changes nothing."""
        seen = {_form(self.draft): len(self.draft.changes)}
        for _ in range(MOST_ROUNDS):
            active = self.round(passes)
            if not active:
                return
            form = _form(self.draft)
            if form in seen:
                self.round(passes)
                raise _circle(_opponents(self.draft.changes[seen[form] :]), passes)
            seen[form] = len(self.draft.changes)
        raise GraphlabError(
            f"no fixed point: after {MOST_ROUNDS} rounds {_named(active, passes)} still change the program",
            hint=f"a pass has to find nothing in its own result: leave {active[-1]} out; the program is unchanged",
        )


def _circle(names: Sequence[str], passes: Sequence[Rewrite]) -> GraphlabError:
    """The error of the passes `names`, which change a program back to what it was."""
    if len(names) == 1:
        return GraphlabError(
            f"pass {_named(names, passes)} changes its own result back to what it was, and would do so for ever",
            hint="a pass has to find nothing in its own result; the program is unchanged",
        )
    return GraphlabError(
        f"passes undo each other: {_named(names, passes)} change the program back to what it was",
        hint="leave one of them out; the program is unchanged",
    )


def _named(names: Sequence[str], passes: Sequence[Rewrite]) -> str:
    """The names, those of passes that are not graphlab's own with who they come from."""
    known = {item.name: called(item).removeprefix("pass ") for item in passes}
    return " and ".join(known.get(name, name) for name in names)


def _opponents(changes: Sequence[Change]) -> list[str]:
    """The passes of `changes` of which each changes what the other made; all of them where no two do."""
    maker: dict[str, str] = {}
    over: dict[tuple[str, str], None] = {}
    for change in changes:
        over.update({(maker[old], change.pass_name): None for old, _ in change.values if old in maker})
        maker.update({new: change.pass_name for _, new in change.values if new})
    pairs = [name for a, b in over if a != b and (b, a) in over for name in (a, b)]
    return list(dict.fromkeys(pairs or [change.pass_name for change in changes]))


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
