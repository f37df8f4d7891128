"""A softmax and what surrounds it, recognised as one attention: roles told from axes, nothing from names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from graphlab.rewriting.attention.axes import (
    Axis,
    Dims,
    Unmatched,
    equal,
    leaves,
    note_arguments,
    note_sizes,
    regrouped,
    shape_of,
)
from graphlab.rewriting.attention.normalisation import Normalisation
from graphlab.rewriting.attention.path import Path, Step, back, example, forward
from graphlab.rewriting.attention.products import Product
from graphlab.rewriting.attention.uses import data_inputs, is_assertion, is_dead, reads_shape
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.purity import removable

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor of the attention and the axes of its dimensions."""

    node: torch.fx.Node
    dims: Dims


@dataclass(frozen=True, slots=True)
class Applied:
    """A step on the scores with the axes the scores had before it."""

    step: Step
    dims: Dims


@dataclass
class Match:
    """One attention: softmax over `keys` of query and key summed over `width`, weighting the value.

    `batch` are axes keys or values vary with; the head is the last of them. `queries`, `width` and `value_width` are
    the other axes. `applied` are the steps between the score product and the softmax, in order, `out` the value
    product and the axes of its result, `members` all nodes of the attention and `dims` the axes of those that are
    shaped like the scores.
    """

    norm: Normalisation
    scores: Product
    output: Product
    query: Operand
    key: Operand
    value: Operand
    out: Operand
    applied: list[Applied]
    batch: tuple[Axis, ...]
    queries: tuple[Axis, ...]
    keys: tuple[Axis, ...]
    width: tuple[Axis, ...]
    value_width: tuple[Axis, ...]
    members: set[torch.fx.Node] = field(default_factory=set)
    dims: dict[torch.fx.Node, Dims] = field(default_factory=dict)

    def refresh(self) -> None:
        """Takes up axes that were split since."""
        for name in ("batch", "queries", "keys", "width", "value_width"):
            setattr(self, name, leaves(getattr(self, name)))


def match(draft: Draft, norm: Normalisation, weights: frozenset[torch.fx.Node]) -> Match:
    """The attention around `norm`; Unmatched says why it is none."""
    path = back(norm.scores, weights)
    axes = {letter: Axis(path.product.size(letter)) for letter in _letters(path.product)}
    left, right, dims = (_dims(path.product, side, axes) for side in ("left", "right", "out"))
    note_sizes(path.product.left, left)
    note_sizes(path.product.right, right)
    applied, dims = _follow(path.steps, dims)
    keys = leaves(dims[norm.dim])
    if not keys:
        raise Unmatched("the softmax runs over an axis of size 1")
    members = {path.product.node, *(step.node for step in path.steps), *norm.members}
    _check_numbers([path.product.node, *(step.node for step in path.steps)], "scores")
    after = forward(norm.out, members, weights)
    members |= {after.product.node, *(step.node for step in after.steps)}
    _check_numbers([step.node for step in after.steps], "probabilities")
    after_steps, last = _follow(after.steps, dims)
    query, key = _sides(Operand(path.product.left, left), Operand(path.product.right, right), keys)
    value, out = _values(after, last, keys)
    found = _roles(norm, path, after, query, key, value, out, applied, keys)
    found.members = members
    found.dims = _member_dims(path, norm, applied, dims, after, after_steps, last)
    _check_uses(found)
    _check_weights(found, weights)
    return found


def _check_numbers(nodes: list[torch.fx.Node], what: str) -> None:
    """Unmatched where one of `nodes` holds whole numbers, booleans or numbers of 8 bits."""
    for node in nodes:
        value = node.meta["val"]
        dtype = (value[0] if isinstance(value, (tuple, list)) else value).dtype
        if not dtype.is_floating_point or dtype.itemsize < 2:
            raise Unmatched(f"{node.name} rounds the {what} to {str(dtype).removeprefix('torch.')}")


def _letters(product: Product) -> list[str]:
    used = dict.fromkeys((*product.left_dims, *product.right_dims))
    return [letter for letter in used if letter and not equal(product.size(letter), 1)]


def _dims(product: Product, side: str, axes: dict[str, Axis]) -> Dims:
    letters: tuple[str, ...] = getattr(product, f"{side}_dims")
    return [(axes[letter],) if letter in axes else () for letter in letters]


def _follow(steps: list[Step], dims: Dims) -> tuple[list[Applied], Dims]:
    """The steps with the axes before each, and the axes after the last."""
    applied = []
    for step in steps:
        applied.append(Applied(step, dims))
        if step.kind == "layout":
            dims = moved(step.node, dims)
            note_arguments(step.node, dims)
        elif step.source is not None and _example(step.node) != _example(step.source):
            raise Unmatched(f"{step.node.name} stretches the scores")
    return applied, dims


def _example(node: torch.fx.Node) -> list[int]:
    value = node.meta["val"]
    return example(value[0] if isinstance(value, (tuple, list)) else value)


def moved(node: torch.fx.Node, dims: Dims) -> Dims:
    """The axes of `node`, a layout operator, whose argument has the axes `dims`. Unmatched where it stretches."""
    rank = len(dims)
    target, args = node.target, node.args
    if target in (aten.permute.default, aten.permute_copy.default):
        order = args[1]
        assert isinstance(order, (list, tuple))
        return [dims[int(index)] for index in order]  # type: ignore[arg-type]  # permutations hold ints
    if target in (aten.transpose.int, aten.swapaxes.default, aten.swapdims.default, aten.transpose_copy.int):
        return _swapped(dims, int(args[1]), int(args[2]))  # type: ignore[arg-type]  # an fx argument may be anything
    if target in (aten.t.default, aten.mT.default, aten.numpy_T.default, aten.adjoint.default):
        return list(reversed(dims)) if rank <= 2 or target is aten.numpy_T.default else _swapped(dims, -1, -2)
    if target in (aten.movedim.int, aten.movedim.intlist):
        return _movedim(dims, args[1], args[2])
    return regrouped(dims, shape_of(node))


def _swapped(dims: Dims, a: int, b: int) -> Dims:
    found = list(dims)
    found[a], found[b] = found[b], found[a]
    return found


def _movedim(dims: Dims, source: Any, target: Any) -> Dims:
    rank = len(dims)
    sources = [int(s) % rank for s in ([source] if isinstance(source, int) else source)]
    targets = [int(t) % rank for t in ([target] if isinstance(target, int) else target)]
    rest = iter([d for index, d in enumerate(dims) if index not in sources])
    placed = dict(zip(targets, sources, strict=True))
    return [dims[placed[index]] if index in placed else next(rest) for index in range(rank)]


def _sides(left: Operand, right: Operand, keys: tuple[Axis, ...]) -> tuple[Operand, Operand]:
    """(query, key): the key is the operand that alone has the axes the softmax runs over."""
    in_left = set(leaves(a for axes in left.dims for a in axes)) & set(keys)
    in_right = set(leaves(a for axes in right.dims for a in axes)) & set(keys)
    if in_left and in_right:
        raise Unmatched("the softmax runs over a batch or head axis of the scores, not over keys")
    if in_right == set(keys):
        return left, right
    if in_left == set(keys):
        return right, left
    raise Unmatched("the softmax runs over an axis that mixes queries and keys")


def _values(after: Path, dims: Dims, keys: tuple[Axis, ...]) -> tuple[Operand, Operand]:
    """The value and the result of the value product, in the axes of the probabilities and of its own."""
    product = after.product
    probs = after.steps[-1].node if after.steps else after.source
    left = product.left is probs
    probs_letters, value_letters = (
        (product.left_dims, product.right_dims) if left else (product.right_dims, product.left_dims)
    )
    value = product.right if left else product.left
    known = {letter: axes for letter, axes in zip(probs_letters, dims, strict=True) if letter}
    summed = [x for x in product.left_dims if x and x in product.right_dims and x not in product.out_dims]
    contracted = leaves(axis for letter in summed for axis in known[letter])
    if set(contracted) != set(keys):
        raise Unmatched("the value product sums over another axis than the softmax")
    for letter in value_letters:
        if letter and letter not in known:
            size = product.size(letter)
            known[letter] = () if equal(size, 1) else (Axis(size),)
    value_dims = [known[letter] if letter else () for letter in value_letters]
    note_sizes(value, value_dims)
    return Operand(value, value_dims), Operand(product.node, [known[x] if x else () for x in product.out_dims])


def _roles(
    norm: Normalisation,
    path: Path,
    after: Path,
    query: Operand,
    key: Operand,
    value: Operand,
    out: Operand,
    applied: list[Applied],
    keys: tuple[Axis, ...],
) -> Match:
    """Every axis in its role: batch where keys or values vary with it, the last of the others are the queries."""
    product = path.product
    width_letters = [x for x in product.left_dims if x and x in product.right_dims and x not in product.out_dims]
    side = product.left_dims if query.node is product.left else product.right_dims
    dims = query.dims
    width = leaves(a for letter, axes in zip(side, dims, strict=True) if letter in width_letters for a in axes)
    if not width_letters:
        raise Unmatched("the scores are an outer product: queries and keys have no common axis")
    originals = _out_axes(product, query, key)
    in_key = set(leaves(a for axes in key.dims for a in axes))
    in_value = set(leaves(a for axes in value.dims for a in axes))
    alone = [axis for axis in originals if not set(axis.leaves()) & (in_key | in_value)]
    if not alone and any(not set(axis.leaves()) & in_key for axis in originals):
        raise Unmatched("every query has values of its own")
    queries = alone[-1].leaves() if alone else ()
    others = [axis for axis in leaves(originals) if axis not in keys]
    batch = tuple(axis for axis in others if axis not in queries)
    known = {*keys, *others}
    value_width = tuple(a for a in leaves(x for axes in value.dims for x in axes) if a not in known)
    return Match(
        norm, product, after.product, query, key, value, out, applied, batch, queries, keys, width, value_width
    )


def _out_axes(product: Product, query: Operand, key: Operand) -> list[Axis]:
    by_letter: dict[str, tuple[Axis, ...]] = {}
    for operand in (query, key):
        letters = product.left_dims if operand.node is product.left else product.right_dims
        by_letter.update({x: axes for x, axes in zip(letters, operand.dims, strict=True) if x})
    return [axis for letter in product.out_dims if letter for axis in by_letter.get(letter, ())]


def _check_uses(found: Match) -> None:
    """Unmatched when scores or probabilities are read by anything but the attention itself."""
    inside = found.members - {found.output.node}
    for node in inside:
        for user in node.users:
            if user in found.members or is_assertion(user) or is_dead(user):
                continue
            if node in found.dims and reads_shape(user, node):
                continue
            what = "probabilities" if _after(node, found) else "scores"
            how = "as a result" if user.op == "output" else f"by {user.name}"
            raise Unmatched(f"the {what} ({node.name}) are used elsewhere: {how}")
    for applied in found.applied:
        for operand in (applied.step.operand, applied.step.fill):
            if isinstance(operand, torch.fx.Node) and _depends(operand, inside):
                raise Unmatched(f"{applied.step.node.name} depends on the scores in another way")
            if isinstance(operand, torch.fx.Node) and _is_random(operand):
                raise Unmatched(f"{applied.step.node.name} takes random numbers")


def _member_dims(
    path: Path,
    norm: Normalisation,
    applied: list[Applied],
    middle: Dims,
    after: Path,
    after_steps: list[Applied],
    last: Dims,
) -> dict[torch.fx.Node, Dims]:
    """The axes of the product, of every step on the scores, of the probabilities and of every step on them."""
    nodes = [path.product.node, *(item.step.node for item in applied)]
    axes = [*(item.dims for item in applied), middle]
    found = dict(zip(nodes, axes, strict=True))
    found.update({node: middle for node in norm.members if node.meta["val"] is norm.out or _same_rank(node, norm)})
    found[norm.out] = middle
    later = [item.dims for item in after_steps][1:] + ([last] if after_steps else [])
    found.update(zip((item.step.node for item in after_steps), later, strict=True))
    return found


def _same_rank(node: torch.fx.Node, norm: Normalisation) -> bool:
    value, scores = node.meta["val"], norm.scores.meta["val"]
    return isinstance(value, torch.Tensor) and tuple(value.shape) == tuple(scores.shape)


def _after(node: torch.fx.Node, found: Match) -> bool:
    return node is found.norm.out or found.norm.out < node


def _is_random(node: torch.fx.Node) -> bool:
    """Whether random numbers are drawn to compute `node`."""
    pending, seen = [node], set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if torch.Tag.nondeterministic_seeded in getattr(item.target, "tags", ()) and not removable(item):
            return True  # what could drop and does not is removable
        pending.extend(data_inputs(item))
    return False


def _is_scores(node: torch.fx.Node, weights: frozenset[torch.fx.Node]) -> bool:
    """Whether `node` is a product of two activations, reshaped and scaled perhaps."""
    try:
        back(node, weights)
    except Unmatched:
        return False
    return True


def _depends(node: torch.fx.Node, members: set[torch.fx.Node]) -> bool:
    """Whether `node` is computed from any of `members`."""
    first = min(members)
    pending, seen = [node], set()
    while pending:
        item = pending.pop()
        if item in members:
            return True
        if item in seen or item < first:
            continue
        seen.add(item)
        pending.extend(data_inputs(item))
    return False


def _check_weights(found: Match, weights: frozenset[torch.fx.Node]) -> None:
    if found.key.node in weights:
        raise Unmatched("its keys are weights: a gate over learned directions, not attention")
    if found.query.node in weights and _is_scores(found.key.node, weights):
        raise Unmatched(f"{found.scores.node.name} mixes the scores of several heads (talking heads)")
    for operand in (found.query, found.key, found.value):
        if _depends(operand.node, found.members - {found.output.node}):
            raise Unmatched("queries, keys or values depend on the scores")
