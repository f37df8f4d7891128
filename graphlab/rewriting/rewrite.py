"""What a rewriting pass is. The base class keeps the contract: copy, check, history, a reason for what stays."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch

from graphlab.discovery.blame import blamed
from graphlab.passes_base import Pass
from graphlab.plugins import PluginError, called, is_own
from graphlab.program import Program
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import spelled
from graphlab.rewriting.record import CHANGED_WEIGHTS
from graphlab.rewriting.result import RewriteResult


class Rewrite(Pass):
    """Base of every pass that returns an equivalent program; a frozen dataclass whose fields are its options.

    A subclass edits the draft in `apply`. The program given stays as it is, weights are shared, results keep their
    shapes and dtypes, and a second run changes nothing.

    `exact` says that the results keep their values too. A pass that means to change values (of weights, with
    `draft.set_weights`) sets it to False and proves itself what it changed: verification does not compare the program
    before it with the one after it, but takes the latter as what later passes must keep.
    """

    exact: ClassVar[bool] = True

    @abstractmethod
    def apply(self, draft: Draft) -> None:
        """Edits `draft`; what is a candidate and stays is said with `draft.skip`."""

    def run(self, program: Program) -> RewriteResult:
        """`program` rewritten; GraphlabError, naming this pass, when it breaks the contract."""
        draft = Draft(program)
        self.edit(draft)
        return draft.finish([self.entry(draft)] if draft.changes else ())

    def edit(self, draft: Draft) -> int:
        """`apply` under this pass' name; returns how many changes it made.

        GraphlabError, naming the pass and the distribution of one that is not graphlab's, for a pass that fails or
        breaks the contract.
        """
        before, draft.pass_name = len(draft.changes), self.name
        draft.blamed = "" if is_own(self) else called(self)
        draft.skips = [skip for skip in draft.skips if skip.pass_name != self.name]  # those of its last run
        as_it_was = _Calls(draft.graph)
        with blamed(called(self), hint="the program is unchanged"):
            returned: object = self.apply(draft)
        if returned is not None:
            raise PluginError(
                f"{called(self)} returned a {type(returned).__name__}, expected nothing",
                hint="`apply` edits the draft it is given",
            )
        with blamed(called(self)):
            draft.check(called(self))
        for node in as_it_was.unread():
            draft.erase_dead(node)
        if len(draft.changes) == before and as_it_was.changed():
            raise PluginError(
                f"{called(self)} changed the graph and did not say so",
                hint="`draft.replace`, `draft.rewire` and `draft.set_weights` change it and keep the account",
            )
        return len(draft.changes) - before

    def entry(self, draft: Draft) -> str:
        """The line this pass adds to a program's history."""
        return f"{spelled(self)}{f'; {CHANGED_WEIGHTS}' if self.name in draft.reweighting else ''}"


class _Calls:
    """What every node of a graph calls with what, to tell later whether that is still so, and which nodes are new.

    Nodes that were added and that nobody of these reads change nothing, and neither does taking out unread ones.
    """

    def __init__(self, graph: torch.fx.Graph) -> None:
        self._graph = graph
        self._nodes = [(node, node.target, node.args, node.kwargs) for node in graph.nodes]

    def changed(self) -> bool:
        """Whether a node that is still there calls something else, or with something else."""
        return any(
            not node._erased and (node.target, node.args, node.kwargs) != (target, args, kwargs)
            for node, target, args, kwargs in self._nodes
        )

    def unread(self) -> list[torch.fx.Node]:
        """The new nodes that nobody reads."""
        known = {node for node, *_ in self._nodes}
        return [
            node for node in self._graph.nodes if not node.users and node.op == "call_function" and node not in known
        ]


class Peephole(Rewrite):
    """A rewrite of one node at a time: `replace` is asked about every call of `targets`, in execution order."""

    targets: ClassVar[tuple[Any, ...]]
    why: ClassVar[str]
    """What was recognised, for the account of changes."""

    def apply(self, draft: Draft) -> None:
        """Asks `replace` about every call of `targets`."""
        for node in draft.calls(*self.targets):
            new = self.replace(node, draft)
            if isinstance(new, str):
                draft.skip(node, new)
            elif isinstance(new, torch.fx.Node):
                draft.replace(node, new, self.why)
            elif new is not None:
                raise PluginError(
                    f"`replace` returned a {type(new).__name__} for {node.name}",
                    hint="a node, a text that says why the call stays, or None",
                )

    @abstractmethod
    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        """The value to use instead of `node`; a str is why it stays; None when it is no candidate."""
