"""fuse-rms-norm: root mean square norms written out become `aten.rms_norm`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.attention.uses import is_assertion, is_dead
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import is_cast
from graphlab.rewriting.memory import Known, Relayout, always_equal, lies_same, relayout, same_kind
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten
Node = torch.fx.Node

_ROOTS = (aten.rsqrt.default, aten.sqrt.default, aten.pow.Tensor_Scalar)
_PRODUCTS = (aten.mul.Tensor, aten.mul.Scalar)
_HALF = (torch.float16, torch.bfloat16)
_FLOATS = (*_HALF, torch.float32, torch.float64)


@dataclass(frozen=True)
class FuseRmsNorm(Rewrite):
    """x / sqrt(mean(x * x) + eps), perhaps times a weight, as one `aten.rms_norm`, whichever way it is spelled.

    Before: `f = aten.to(x, float32); m = aten.mean(aten.pow(f, 2), [-1], True); r = aten.rsqrt(aten.add(m, 1e-06));
    y = aten.mul(weight, aten.to(aten.mul(f, r), bfloat16))`
    After:  `y = aten.rms_norm(x, [64], weight, 1e-06)`

    Casts to float32 and back go where the operator, which computes half precision in float32, gives the same up to the
    last rounding; other casts stay around it, and so does a weight of another shape or dtype. Stays: a layer norm
    without its name (the mean is taken off first), other axes than the last ones, a sum of squares or a clamped length,
    eps outside the root, a mean square or a root that something else reads.
    """

    name: ClassVar[str] = "fuse-rms-norm"

    def apply(self, draft: Draft) -> None:
        """Asks about every root, and about every length of a vector."""
        known: Known = {}
        for node in draft.calls(*_ROOTS):
            found = _norm(node)
            reason = _fuse(found, draft, known) if isinstance(found, _Norm) else found
            if reason is not None:
                draft.skip(node, reason)
        for node in draft.calls(aten.linalg_vector_norm.default):
            reason = _of_length(node)
            if reason is not None:
                draft.skip(node, reason)


@dataclass
class _Norm:
    """x normalised over its last `axes` axes: `product` = x / root. `members` are the nodes between, `product` last.

    `source` is x before casts that keep its numbers, `scaled` the operand of the product, `inside` the widest dtype
    between.
    """

    source: Node
    scaled: Node
    product: Node
    axes: int
    eps: float
    inside: torch.dtype
    members: list[Node] = field(default_factory=list)


def _norm(root: Node) -> _Norm | str | None:
    """The norm around `root`, why it is none of the kind, or None for a root of something else."""
    inverse = _inverse(root)
    if inverse is None:
        return None
    measured = _mean_square(root, [])
    if measured is None:
        return None
    read, members = _reader(root)
    if not inverse and read is not None and read.target is aten.reciprocal.default:
        inverse, (read, more) = True, _reader(read)
        members += more
    if isinstance(measured, str):
        return measured if read is not None and _scales(read, root) else None
    if read is None:
        return f"{members[-1]} is read by {len(_readers(members[-1]))} others, not by one product"
    if read.target in (aten.add.Tensor, aten.add.Scalar):
        return f"{read} adds to the root, not to the mean square under it"
    scaled = _scaled(read, members[-1], inverse)
    if scaled is None:
        return f"{read} does not divide a tensor by the root"
    members = [*measured.members, *members, read]
    inside = _widest(members)
    found = _Norm(_narrow(scaled), scaled, read, measured.axes, measured.eps, inside, members)
    return _unfit(found, measured.source) or found


@dataclass
class _Measured:
    """eps + the mean square of `source` over its last `axes` axes."""

    source: Node
    axes: int
    eps: float
    members: list[Node]


def _inverse(root: Node) -> bool | None:
    """Whether `root` is one over a square root; None where it is none at all."""
    if root.target is not aten.pow.Tensor_Scalar:
        return root.target is aten.rsqrt.default
    return {-0.5: True, 0.5: False}.get(root.args[1])  # type: ignore[arg-type]  # a number, or nothing of these


def _mean_square(root: Node, members: list[Node]) -> _Measured | str | None:
    """What is under `root`; a str where it only looks like a mean square of last axes, None for anything else."""
    under, eps = _first(root), 0.0
    while is_cast(under):
        members.append(under)
        under = _first(under)
    if under.target in (aten.add.Tensor, aten.add.Scalar):
        first, second = under.args[:2]
        term, number = (first, second) if isinstance(first, Node) else (second, first)
        if not isinstance(term, Node) or not isinstance(number, (int, float)) or arguments(under)["alpha"] != 1:
            return None
        members.append(under)
        under, eps = term, float(number)
    while is_cast(under) or under.target is aten.unsqueeze.default:
        members.append(under)
        under = _first(under)
    return _mean(under, eps, members)


def _mean(node: Node, eps: float, members: list[Node]) -> _Measured | str | None:
    divided = node.target in (aten.div.Tensor, aten.div.Scalar) and isinstance(node.args[0], Node)
    total = _first(node) if divided else node
    if total.target not in (aten.mean.dim, aten.sum.dim_IntList):
        return None
    given = arguments(total)
    square = _first(total)
    source = _squared(square)
    if source is None or given["dim"] is None:
        return None
    rank = source.meta["val"].dim()
    dims = sorted(dim % rank for dim in given["dim"])
    if total.target is aten.sum.dim_IntList and not (divided and _counts(node.args[1], source, dims)):
        return "it sums the squares and takes no mean of them"
    if divided and total.target is aten.mean.dim:
        return None
    if dims != list(range(rank - len(dims), rank)) or not dims:
        return f"it is over the axes {dims} of {rank}, not the last ones"
    kept = node.meta["val"].dim() == rank
    if not kept and not _put_back(members, rank, dims):
        return "the axis it is over is not put back where it was"
    return _Measured(_narrow(source), len(dims), eps, [square, *dict.fromkeys((total, node)), *reversed(members)])


def _counts(number: Any, source: Node, dims: list[int]) -> bool:
    """Whether `number` is how many values of `source` lie in `dims`."""
    count: Any = 1
    for dim in dims:
        count = count * source.meta["val"].shape[dim]
    value = number.meta["val"] if isinstance(number, Node) else number
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, (int, torch.SymInt)) and always_equal(value, count)


def _put_back(members: list[Node], rank: int, dims: list[int]) -> bool:
    """Whether one of `members` puts back the only axis of `dims`, the last of `rank`."""
    unsqueezed = [node for node in members if node.target is aten.unsqueeze.default]
    axes = [int(node.args[1]) % rank for node in unsqueezed]  # type: ignore[arg-type]  # an axis
    return len(dims) == 1 and axes == dims


def _squared(node: Node) -> Node | None:
    """x of x ** 2, x * x and square(x)."""
    source = node.args[0] if node.op == "call_function" and node.args else None
    if not isinstance(source, Node):
        return None
    if node.target is aten.pow.Tensor_Scalar:
        return source if node.args[1] == 2 else None
    if node.target is aten.mul.Tensor:
        return source if node.args[1] is source else None
    return source if node.target is aten.square.default else None


def _reader(node: Node) -> tuple[Node | None, list[Node]]:
    """(the only reader of `node` behind casts, None where it has several; `node` and the casts)."""
    passed = [node]
    while True:
        readers = _readers(passed[-1])
        if len(readers) != 1 or readers[0].op != "call_function":
            return None, passed
        if not is_cast(readers[0]) and not _is_times_one(readers[0]):
            return readers[0], passed
        passed.append(readers[0])


def _is_times_one(node: Node) -> bool:
    """Whether `node` is x * 1: what torch writes for 1 / x, behind a reciprocal."""
    return node.target in _PRODUCTS and any(type(arg) in (int, float) and arg == 1 for arg in node.args)


def _readers(node: Node) -> list[Node]:
    return [user for user in node.users if not is_assertion(user) and not is_dead(user)]


def _scaled(read: Node, root: Node, inverse: bool) -> Node | None:
    """x where `read` is x * root (`inverse`) or x / root."""
    targets = _PRODUCTS if inverse else (aten.div.Tensor,)
    if read.target not in targets or len(read.args) != 2 or read.kwargs:
        return None
    operands = [arg for arg in read.args if arg is not root]
    if len(operands) != 1 or not isinstance(operands[0], Node) or (not inverse and read.args[1] is not root):
        return None
    return operands[0]


def _scales(read: Node, root: Node) -> bool:
    """Whether `read` scales a tensor larger than the root."""
    return read.target in (*_PRODUCTS, aten.div.Tensor) and read.meta["val"].dim() >= root.meta["val"].dim()


def _unfit(found: _Norm, measured: Node) -> str | None:
    """Why `found` is no RMS norm of x; None when it is one."""
    if found.source is not measured:
        return f"{found.product} scales {found.source}, the mean square is that of {measured}"
    if not same_kind(found.scaled.meta["val"], found.product.meta["val"].to(found.scaled.meta["val"].dtype)):
        return f"{found.product} is of another shape than {found.scaled}"
    if _is_centred(found.source):
        return f"{found.source} takes its mean off: this is a layer norm"
    dtypes = {node.meta["val"].dtype for node in (found.source, *found.members)}
    if not dtypes <= set(_FLOATS):
        return f"it is computed in {', '.join(sorted(str(dtype).removeprefix('torch.') for dtype in dtypes))}"
    own = set(found.members)
    for node in found.members[:-1]:
        others = [user for user in _readers(node) if user not in own]
        if others:
            return f"{node} is read elsewhere, by {others[0]}"
    return None


def _is_centred(node: Node) -> bool:
    """Whether `node` is x - mean(x)."""
    if node.target is not aten.sub.Tensor or not isinstance(node.args[1], Node):
        return False
    mean = node.args[1]
    return mean.target is aten.mean.dim and _narrow(_first(mean)) is _narrow(_first(node))


def _first(node: Node) -> Node:
    """The first argument of `node`, which is a node."""
    source = node.args[0] if node.args else node
    return source if isinstance(source, Node) else node


def _narrow(node: Node) -> Node:
    """`node` before casts to wider dtypes, which keep every number."""
    while is_cast(node):
        source = _first(node)
        before, after = source.meta["val"], node.meta["val"]
        if before.device != after.device or before.dtype not in _FLOATS:
            break
        if torch.promote_types(before.dtype, after.dtype) != after.dtype:
            break
        node = source
    return node


def _widest(members: list[Node]) -> torch.dtype:
    dtypes = [node.meta["val"].dtype for node in members if node.meta["val"].dtype.is_floating_point]
    return max(dtypes, key=lambda dtype: torch.finfo(dtype).bits)


def _fuse(found: _Norm, draft: Draft, known: Known) -> str | None:
    """Writes the operator for the product, or for what comes after it: a cast back, a weight, both in any order.

    A str is why readers do not take the result, which is row-major whatever x is.
    """
    value, weight = found.product, None
    for end, factor in _endings(found):
        if _merges(found, end, factor):
            value, weight = end, factor
    source = found.source if value.meta["val"].dtype == found.source.meta["val"].dtype else None
    if source is None or not _inside(found, source):
        source = _as(found.scaled, found.product.meta["val"].dtype, draft, value)
    shape = draft.shape(found.source)[-found.axes :]
    if weight is not None:
        weight = _flat(weight, source.meta["val"].dtype, found.axes, draft, value)
    new = draft.call(aten.rms_norm.default, source, shape, weight, found.eps, at=value)
    follows: Relayout | str | None = None
    if not lies_same(new.meta["val"], value.meta["val"]):
        follows = relayout(draft.mode, {value: new.meta["val"]}, known)
    if isinstance(follows, str):
        draft.sweep()
        return follows
    _drop_assertions(found, draft)
    draft.replace(value, new, "x over the root of its mean square")
    if follows is not None:
        follows.write()
    return None


def _endings(found: _Norm) -> list[tuple[Node, Node | None]]:
    """(node, weight) of what may be the end of the norm: casts and one product with a weight after it, in order."""
    endings: list[tuple[Node, Node | None]] = [(found.product, None)]
    weight: Node | None = None
    while True:
        last = endings[-1][0]
        readers = _readers(last)
        if len(readers) != 1:
            return endings
        (user,) = readers
        if is_cast(user) and user.meta["val"].dtype in _FLOATS:
            endings.append((user, weight))
            continue
        factor = _factor(user, last) if weight is None else None
        if factor is None or not _is_weight(factor, found):
            return endings
        weight = factor
        endings.append((user, weight))


def _factor(user: Node, normed: Node) -> Node | None:
    if user.target is not aten.mul.Tensor or user.kwargs or len(user.args) != 2:
        return None
    others = [arg for arg in user.args if arg is not normed]
    return others[0] if len(others) == 1 and isinstance(others[0], Node) else None


def _is_weight(factor: Node, found: _Norm) -> bool:
    """Whether `factor` has the shape of the normalised axes, perhaps behind axes of size 1."""
    value, shape = factor.meta["val"], found.source.meta["val"].shape
    if not isinstance(value, torch.Tensor) or not found.axes <= value.dim() <= len(shape):
        return False
    front, back = value.shape[: -found.axes], value.shape[-found.axes :]
    ones = all(isinstance(size, int) and size == 1 for size in front)
    return ones and all(same_size(a, b) for a, b in zip(back, shape[-found.axes :], strict=True))


def _merges(found: _Norm, end: Node, weight: Node | None) -> bool:
    """Whether the operator on a dtype of its own gives the numbers of `end` up to its last rounding."""
    dtype = end.meta["val"].dtype
    own = found.source.meta["val"].dtype
    if dtype == own and _inside(found, found.source):
        return weight is None or _narrow(weight).meta["val"].dtype == dtype
    if end is found.product:
        return True
    product = found.product.meta["val"].dtype
    return weight is not None and dtype == product == weight.meta["val"].dtype and found.product in end.args


def _inside(found: _Norm, source: Node) -> bool:
    """Whether what is computed between is no more precise than what the operator computes `source` in."""
    dtype = source.meta["val"].dtype
    computed = torch.float32 if dtype in _HALF else dtype
    return torch.promote_types(found.inside, computed) == computed


def _as(node: Node, dtype: torch.dtype, draft: Draft, at: Node) -> Node:
    """`node` in `dtype`."""
    return node if node.meta["val"].dtype == dtype else draft.call(aten.to.dtype, node, dtype, at=at)


def _flat(weight: Node, dtype: torch.dtype, axes: int, draft: Draft, at: Node) -> Node:
    """`weight` in `dtype` with the normalised axes alone."""
    narrow = _narrow(weight)
    flat = narrow if narrow.meta["val"].dtype == dtype else weight
    if flat.meta["val"].dim() == axes:
        return flat
    return draft.call(aten.reshape.default, flat, draft.shape(flat)[-axes:], at=at)


def _drop_assertions(found: _Norm, draft: Draft) -> None:
    """Takes out what asserts the dtype of values that go."""
    for node in found.members:
        for user in list(node.users):
            if is_assertion(user):
                draft.graph.erase_node(user)


def _of_length(length: Node) -> str | None:
    """Why x / |x| stays, None for a length of another use."""
    given = arguments(length)
    if given["ord"] != 2 or not given["dim"]:
        return None
    read, _ = _reader(length)
    clamped = read is not None and read.target in (aten.clamp_min.default, aten.clamp.default)
    while read is not None and read.target in (aten.clamp_min.default, aten.clamp.default, aten.expand.default,
                                               aten.expand_as.default):  # fmt: skip
        read, _ = _reader(read)
    if read is None or read.target is not aten.div.Tensor or _narrow(_first(read)) is not _narrow(_first(length)):
        return None
    if clamped:
        return "the length is clamped from below, where an RMS norm adds eps to the mean square: short rows differ"
    return "it divides by a length to which nothing is added: rows of zeros become NaN"
