"""Norms by the root of a mean square, as programs write them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.attention.uses import is_assertion, is_dead
from graphlab.rewriting.identities import is_cast
from graphlab.rewriting.memory import always_equal, same_kind

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten

ROOTS = (aten.rsqrt.default, aten.sqrt.default, aten.pow.Tensor_Scalar)
HALF = (torch.float16, torch.bfloat16)
FLOATS = (*HALF, torch.float32, torch.float64)
_PRODUCTS = (aten.mul.Tensor, aten.mul.Scalar)


@dataclass
class RmsNorm:
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


def rms_norm(root: Node) -> RmsNorm | str | None:
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
        after = readers(members[-1])
        scales = any(_scales(user, root) for user in after)
        return f"{members[-1]} is read by {len(after)} others, not by one product" if scales else None
    if read.target in (aten.add.Tensor, aten.add.Scalar):
        return f"{read} adds to the root, not to the mean square under it"
    scaled = _scaled(read, members[-1], inverse)
    if scaled is None:
        return f"{read} does not divide a tensor by the root" if _scales(read, root) else None
    if not measured.kept and not _put_back([*measured.members, *members], scaled.meta["val"].dim()):
        return "the axis it is over is not put back where it was"
    members = [*measured.members, *members, read]
    inside = _widest(members)
    found = RmsNorm(narrow(scaled), scaled, read, measured.axes, measured.eps, inside, members)
    return _unfit(found, measured.source) or found


@dataclass
class _Measured:
    """eps + the mean square of `source` over its last `axes` axes, which stay as axes of size 1 when `kept`."""

    source: Node
    axes: int
    eps: float
    kept: bool
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
    return _Measured(narrow(source), len(dims), eps, kept, [square, *dict.fromkeys((total, node)), *reversed(members)])


def _counts(number: Any, source: Node, dims: list[int]) -> bool:
    """Whether `number` is how many values of `source` lie in `dims`."""
    count: Any = 1
    for dim in dims:
        count = count * source.meta["val"].shape[dim]
    value = number.meta["val"] if isinstance(number, Node) else number
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return isinstance(value, (int, torch.SymInt)) and always_equal(value, count)


def _put_back(members: list[Node], rank: int) -> bool:
    """Whether `members` put back one axis, the last of `rank`."""
    axes = [node.args[1] for node in members if node.target is aten.unsqueeze.default]
    return len(axes) == 1 and axes[0] in (-1, rank - 1)


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
        after = readers(passed[-1])
        if len(after) != 1 or after[0].op != "call_function":
            return None, passed
        if not is_cast(after[0]) and not _is_times_one(after[0]) and after[0].target is not aten.unsqueeze.default:
            return after[0], passed
        passed.append(after[0])


def _is_times_one(node: Node) -> bool:
    """Whether `node` is x * 1: what torch writes for 1 / x, behind a reciprocal."""
    return node.target in _PRODUCTS and any(type(arg) in (int, float) and arg == 1 for arg in node.args)


def readers(node: Node) -> list[Node]:
    """Who reads the numbers of `node`."""
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


def _unfit(found: RmsNorm, measured: Node) -> str | None:
    """Why `found` is no RMS norm of x; None when it is one."""
    if _is_centred(found.source):
        return f"{found.source} takes its mean off: this is a layer norm"
    if found.source is not measured:
        return f"{found.product} scales {found.source}, the mean square is that of {measured}"
    if not same_kind(found.scaled.meta["val"], found.product.meta["val"].to(found.scaled.meta["val"].dtype)):
        return f"{found.product} is of another shape than {found.scaled}"
    dtypes = {node.meta["val"].dtype for node in (found.source, *found.members)}
    if not dtypes <= set(FLOATS):
        return f"it is computed in {', '.join(sorted(str(dtype).removeprefix('torch.') for dtype in dtypes))}"
    own = set(found.members)
    for node in found.members[:-1]:
        others = [user for user in readers(node) if user not in own]
        if others:
            return f"{node} is read elsewhere, by {others[0]}"
    return None


def _is_centred(node: Node) -> bool:
    """Whether `node` is x - mean(x)."""
    if node.target is not aten.sub.Tensor or not isinstance(node.args[1], Node):
        return False
    mean = node.args[1]
    return mean.target is aten.mean.dim and narrow(_first(mean)) is narrow(_first(node))


def _first(node: Node) -> Node:
    """The first argument of `node`, which is a node."""
    source = node.args[0] if node.args else node
    return source if isinstance(source, Node) else node


def narrow(node: Node) -> Node:
    """`node` before casts to wider dtypes, which keep every number."""
    while is_cast(node):
        source = _first(node)
        before, after = source.meta["val"], node.meta["val"]
        if before.device != after.device or before.dtype not in FLOATS:
            break
        if torch.promote_types(before.dtype, after.dtype) != after.dtype:
            break
        node = source
    return node


def _widest(members: list[Node]) -> torch.dtype:
    dtypes = [node.meta["val"].dtype for node in members if node.meta["val"].dtype.is_floating_point]
    widest: torch.dtype = max(dtypes, key=lambda dtype: torch.finfo(dtype).bits)
    return widest


def of_length(length: Node) -> str | None:
    """Why x / |x| stays, None for a length of another use."""
    given = arguments(length)
    if given["ord"] != 2 or not given["dim"]:
        return None
    read, _ = _reader(length)
    clamped = read is not None and read.target in (aten.clamp_min.default, aten.clamp.default)
    while read is not None and read.target in (aten.clamp_min.default, aten.clamp.default, aten.expand.default,
                                               aten.expand_as.default):  # fmt: skip
        read, _ = _reader(read)
    if read is None or read.target is not aten.div.Tensor or narrow(_first(read)) is not narrow(_first(length)):
        return None
    if clamped:
        return "the length is clamped from below, where an RMS norm adds eps to the mean square: short rows differ"
    return "it divides by a length to which nothing is added: rows of zeros become NaN"
