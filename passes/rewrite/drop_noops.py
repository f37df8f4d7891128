"""drop-noops: calls that return what they were given, and views that two others spell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.ops.rule import rule_for
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.identities import adds_zero, is_cast, permutation, round_trip, source_of
from graphlab.rewriting.memory import Known, Relayout, in_results, is_contiguous, relayout, same_kind, same_strides
from graphlab.rewriting.rewrite import Rewrite

Node = torch.fx.Node
aten = torch.ops.aten

_TO_SIZES = (aten.view.default, aten.reshape.default, aten._unsafe_view.default)
_LONGEST = 8
"""Views in a row that are looked through."""
_LAID_OUT = (torch.channels_last, torch.channels_last_3d)


@dataclass(frozen=True)
class DropNoops(Rewrite):
    """Takes out calls that return their input, and makes one view of two.

    Before: `a = dropout(x, 0.1, False); b = a.to(float32); c = b.transpose(1, 2).transpose(1, 2); return c * 2`.
    After, for a float32 x: `return x * 2`.

    Covered: dropout outside training, casts to the dtype a value has or back to a narrower one it came from, detach,
    alias, clones, views and slices to the same shape, permutations that undo each other, reshapes of reshapes, and
    x - 0, x * 1, x / 1, x ** 1, x + 0 of integers. x + 0.0 of floats stays: it turns -0.0 into 0.0. A `clone` or
    `contiguous` that reorders memory goes where one reader takes the other order; a `view` becomes a `reshape` then.
    Results keep their strides, and a copy that a result lies in stays: it is not the memory of an input.
    Assertions about the dtype and device of inner values and weights follow from those of the inputs; those about
    inputs and about sizes stay.
    """

    name: ClassVar[str] = "drop-noops"

    def apply(self, draft: Draft) -> None:
        """One walk in execution order, so that what a call reads is simplified before it."""
        results = in_results(draft.graph)
        known: Known = {}
        for node in draft.calls():
            if node.target is aten._assert_tensor_metadata.default:
                _assertion(draft, node)
                continue
            if not node.users:
                continue
            source = source_of(node) or round_trip(node)
            if source is not None:
                _drop(draft, node, source, results, known)
            elif adds_zero(node):
                draft.skip(node, "adding 0.0 turns -0.0 into 0.0")
            else:
                _shorten(draft, node, results, known)


def _assertion(draft: Draft, node: Node) -> None:
    """Takes out an assertion about an inner value that its fake value shows to hold."""
    value = node.args[0]
    if not isinstance(value, Node) or (value.op == "placeholder" and draft.weight_key(value) is None):
        return
    tensor = value.meta["val"]
    stated = dict(zip(("size", "stride", "dtype"), node.args[1:], strict=False)) | dict(node.kwargs)
    facts = {"dtype": tensor.dtype, "device": tensor.device, "layout": tensor.layout}
    if all(expected is None or facts.get(key) == expected for key, expected in stated.items()):
        draft.erased([node], "the dtypes of the inputs imply it")


def _drop(draft: Draft, node: Node, source: Node, results: set[Node], known: Known) -> None:
    """Makes the readers of `node` read `source`, unless memory forbids it."""
    old, new = node.meta["val"], source.meta["val"]
    moved = not same_strides(old, new)
    if node in results and (moved or _copies(node, source)):
        draft.skip(node, "a result lies in this copy")
        return
    follows: Relayout | str | None = None
    if moved:
        follows = _wanted_order(node) or relayout(draft.mode, {node: new}, known)
    if isinstance(follows, str):
        draft.skip(node, follows)
        return
    if node in results:
        results.add(source)
    draft.replace(node, source, f"{_spelled(node)} returns what it is given")
    if not node._erased:  # torch calls every dropout random, which one that drops nothing is not
        draft.graph.erase_node(node)
    if follows is not None:
        follows.write()


def _copies(node: Node, source: Node) -> bool:
    """Whether `node` makes memory of its own for what is equal to `source`."""
    rule = rule_for(str(node.target))
    return rule is None or rule.moves == "compute" or (is_cast(node) and node.args[0] is not source)


def _wanted_order(node: Node) -> str:
    """Why the order of memory that `node` makes is wanted; "" when nothing says so."""
    if node.kwargs.get("memory_format") in _LAID_OUT:
        return "a memory format asked for by name"
    return "" if len(node.users) == 1 else "several readers want this order of memory"


def _shorten(draft: Draft, node: Node, results: set[Node], known: Known) -> None:
    """One view, or none, in place of several."""
    inner = node.args[0] if node.args else None
    if not isinstance(inner, Node) or inner.op != "call_function":
        return
    order, below = permutation(node), permutation(inner)
    if order is not None and below is not None:
        _permuted(draft, node, inner, tuple(below[axis] for axis in order), results)
    elif _regroups(node) and _regroups(inner):
        _regrouped(draft, node, results, known)


def _permuted(draft: Draft, node: Node, inner: Node, order: tuple[int, ...], results: set[Node]) -> None:
    source = inner.args[0]
    assert isinstance(source, Node)
    if list(order) == sorted(order):
        _to_ancestor(draft, node, source, results, "permutations that undo each other")
        return
    new = draft.call(aten.permute.default, source, list(order), at=node)
    draft.replace(node, new, "a permutation of a permutation")


def _to_ancestor(draft: Draft, node: Node, source: Node, results: set[Node], why: str) -> None:
    if node in results:
        results.add(source)
    draft.replace(node, source, why)


def _regroups(node: Node) -> bool:
    """Whether `node` keeps the row-major order of its values and their dtype."""
    rule = rule_for(str(node.target))
    regroups = rule is not None and rule.category == "movement" and rule.axes in ("reshape", "squeeze", "unsqueeze")
    return regroups and node.target not in (aten.view_as_real.default, aten.view_as_complex.default)


def _regrouped(draft: Draft, node: Node, results: set[Node], known: Known) -> None:
    """The end of a chain of reshapes as what the chain starts from, or as one `reshape` where its sizes are given.

    A reshape that may copy and is read elsewhere ends the chain: it would be copied twice.
    """
    source, value = node, node.meta["val"]
    for _ in range(_LONGEST):
        below = source.args[0] if source is node or _regroups(source) else None
        if not isinstance(below, Node):
            break
        contiguous = is_contiguous(below.meta["val"])
        if source is not node and not contiguous and len(source.users) > 1:
            break
        source = below
        if same_kind(source.meta["val"], value) and same_strides(source.meta["val"], value):
            _to_ancestor(draft, node, source, results, "reshapes that undo each other")
            return
    if source is not node.args[0] and node.target in _TO_SIZES:
        _reshaped(draft, node, source, known)


def _reshaped(draft: Draft, node: Node, source: Node, known: Known) -> None:
    """`reshape(reshape(x, a), b)` as `reshape(x, b)`, where readers accept how it lies."""
    sizes: Any = node.args[1]
    if is_contiguous(source.meta["val"]) and is_contiguous(node.meta["val"]):
        draft.rewire(node, (source, sizes), "a reshape of a reshape")
        return
    new = draft.call(aten.reshape.default, source, list(sizes), at=node)
    follows: Relayout | str | None = None
    if not same_strides(node.meta["val"], new.meta["val"]):
        follows = relayout(draft.mode, {node: new.meta["val"]}, known)
    if isinstance(follows, str):
        draft.erase_dead(new)
        draft.skip(node, follows)
        return
    draft.replace(node, new, "a reshape of a reshape")
    if follows is not None:
        follows.write()


def _spelled(node: Node) -> str:
    return str(getattr(node.target, "overloadpacket", getattr(node.target, "__name__", ""))).removeprefix("aten.")
