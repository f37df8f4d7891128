"""From a softmax back to the product that made its scores: every step between, classified."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import torch

from graphlab.rewriting.attention.axes import Unmatched, always_equal, shape_of
from graphlab.rewriting.attention.normalisation import CASTS
from graphlab.rewriting.attention.products import Product, product_of
from graphlab.rewriting.attention.uses import is_assertion, is_dead, reads_shape

aten = torch.ops.aten
Kind: TypeAlias = Literal["layout", "same", "scale", "divide", "add", "subtract", "keep", "drop", "opaque"]

LAYOUT = frozenset({
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.permute.default, aten.transpose.int,
    aten.unsqueeze.default, aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.flatten.using_ints,
    aten.unflatten.int, aten.t.default, aten.expand.default, aten.movedim.int, aten.movedim.intlist,
    aten.swapaxes.default, aten.swapdims.default, aten.mT.default, aten.numpy_T.default, aten.view_as.default,
    aten.reshape_as.default, aten.expand_as.default, aten.adjoint.default, aten.permute_copy.default,
    aten.view_copy.default, aten.transpose_copy.int, aten.unsqueeze_copy.default, aten.squeeze_copy.dim,
})  # fmt: skip
SAME_OPS = frozenset({
    aten.clone.default, aten.contiguous.default, aten.alias.default, aten.detach.default, aten.positive.default,
    aten.lift_fresh_copy.default, aten.lift_fresh.default, aten.to.dtype, aten._to_copy.default,
    aten.to.dtype_layout, aten.type_as.default, aten.to.device,
})  # fmt: skip
_DROPOUTS = (aten.dropout.default, aten.feature_dropout.default, aten.alpha_dropout.default)


@dataclass(frozen=True, slots=True)
class Step:
    """One operator on the way of the scores.

    `operand` is the number or node it applies, times `factor`; `fill` what hidden scores become. `scale` is what the
    scores are multiplied by before; `source` is the node before.
    """

    node: torch.fx.Node
    kind: Kind
    operand: Any = None
    fill: Any = None
    factor: Any = 1
    scale: Any = 1
    source: torch.fx.Node | None = None


@dataclass
class Path:
    """`product`, and the steps between it and `source` (the softmax' argument or its result) in execution order."""

    product: Product
    steps: list[Step] = field(default_factory=list)
    source: torch.fx.Node | None = None


def step_of(node: torch.fx.Node, source: torch.fx.Node) -> Step | None:
    """What `node` does to its argument `source`; None for something no attention does between its products."""
    target, args = node.target, node.args
    if target in LAYOUT and args[0] is source:
        return Step(node, "layout")
    if target in SAME_OPS and args[0] is source:
        return Step(node, "same")
    if target in _DROPOUTS or target is aten.native_dropout.default:
        return _dropout(node)
    if getattr(target, "__name__", "") == "getitem":
        return Step(node, "same") if source.target is aten.native_dropout.default and args[1] == 0 else None
    if target is aten.slice.Tensor and _whole_slice(node):
        return Step(node, "same")
    return _arithmetic(node, source)


def _arithmetic(node: torch.fx.Node, source: torch.fx.Node) -> Step | None:
    target, args = node.target, node.args
    if target in (aten.mul.Tensor, aten.mul.Scalar):
        return Step(node, "scale", args[1] if args[0] is source else args[0])
    if target in (aten.div.Tensor, aten.div.Scalar) and args[0] is source and args[1] is not source:
        return Step(node, "divide", args[1])
    if target is aten.neg.default:
        return Step(node, "scale", -1)
    if target in (aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar):
        return _addition(node, source)
    if target in (aten.masked_fill.Scalar, aten.masked_fill.Tensor) and args[0] is source:
        return Step(node, "drop", args[1], args[2])
    if target in (aten.where.self, aten.where.ScalarOther) and args[1] is source:
        return Step(node, "keep", args[0], args[2])
    if target in (aten.where.self, aten.where.ScalarSelf) and args[2] is source:
        return Step(node, "drop", args[0], args[1])
    return None


def _addition(node: torch.fx.Node, source: torch.fx.Node) -> Step | None:
    args = node.args
    alpha = node.kwargs.get("alpha", args[2] if len(args) > 2 else 1)
    negative = node.target in (aten.sub.Tensor, aten.sub.Scalar)
    if args[0] is source and args[1] is not source:
        return Step(node, "subtract" if negative else "add", args[1], factor=alpha)
    if args[1] is source and args[0] is not source:
        return Step(node, "add", args[0], scale=_negated(alpha) if negative else alpha)
    return None


def _negated(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return -value
    raise Unmatched("the scores are subtracted times a number that is not known")


def _dropout(node: torch.fx.Node) -> Step | None:
    rate, train = node.args[1], node.args[2]
    if rate == 0 or train is False:
        return Step(node, "same")
    raise Unmatched(f"dropout is active at {node.name} (rate {rate})")


def _whole_slice(node: torch.fx.Node) -> bool:
    """Whether a slice takes everything."""
    source = node.args[0]
    assert isinstance(source, torch.fx.Node)
    step = node.args[4] if len(node.args) > 4 else 1
    sizes = zip(shape_of(node), shape_of(source), strict=True)
    return bool(step == 1) and all(always_equal(a, b) for a, b in sizes)


def back(node: torch.fx.Node, weights: frozenset[torch.fx.Node], depth: int = 64) -> Path:
    """The path that ends in `node`; Unmatched says what stands in the way of the nearest product."""
    if depth == 0:
        raise Unmatched("the scores are too far from any product")
    product = product_of(node, weights)
    if product is not None:
        return Path(product)
    reason: Unmatched | None = None
    value = node.meta.get("val")
    size = math.prod(example(value)) if isinstance(value, torch.Tensor) else None
    for source in _sources(node, size):
        step = step_of(node, source)
        if step is None:
            continue
        try:
            path = back(source, weights, depth - 1)
        except Unmatched as error:
            reason = reason or error
            continue
        path.steps.append(replace(step, source=source))
        return path
    if reason is not None:
        raise reason
    raise Unmatched(_stop_reason(node))


def _sources(node: torch.fx.Node, size: Any) -> list[torch.fx.Node]:
    """The arguments of `node` that may be the scores: as many elements as its result."""
    if node.op != "call_function":
        return []
    if node.target in LAYOUT:
        return list(node.all_input_nodes[:1])
    found = []
    for item in node.all_input_nodes:
        value = item.meta.get("val")
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, torch.Tensor) and math.prod(example(value)) == size:
            found.append(item)
    return found


def example(value: torch.Tensor) -> list[int]:
    """The sizes of `value` in the example the program was exported with.

    Where two values are combined, equal examples other than 1 are equal at every binding: the export guards it.
    """
    return [size if isinstance(size, int) else int(size.node.hint) for size in value.shape]


def _stop_reason(node: torch.fx.Node) -> str:
    if node.op == "placeholder":
        return f"no product of queries and keys is behind it: its scores come from {node.name}"
    name = str(node.target).removeprefix("aten.")
    if name.startswith(("linear", "conv", "addmm")):
        return f"its scores come from {node.name} ({name}), a product with a weight, not of queries and keys"
    return f"{node.name} ({name}) stands between it and any product of queries and keys"


def forward(
    probs: torch.fx.Node, members: set[torch.fx.Node], weights: frozenset[torch.fx.Node], depth: int = 32
) -> Path:
    """The steps after `probs` up to the product with the values; `Path.steps` come before `Path.product` here.

    `members` are nodes that belong to the attention already. Unmatched says what else reads the probabilities.
    """
    steps: list[Step] = []
    node = probs
    for _ in range(depth):
        users = [user for user in node.users if user not in members and not _only_looks(user, node)]
        if not users:
            raise Unmatched("nothing reads the probabilities")
        if len(users) > 1:
            names = ", ".join(user.name for user in users)
            raise Unmatched(f"the probabilities are used elsewhere, too: by {names}")
        user = users[0]
        if user.op == "output":
            raise Unmatched("the probabilities are used elsewhere: as a result")
        product = product_of(user, weights)
        if product is not None:
            if product.addend is node or (product.left is node) == (product.right is node):
                raise Unmatched(f"{user.name} does not multiply the probabilities with values")
            return Path(product, steps, probs)
        step = step_of(user, node)
        if step is None or step.kind not in ("layout", "same"):
            raise Unmatched(f"{user.name} ({str(user.target).removeprefix('aten.')}) changes the probabilities")
        steps.append(replace(step, source=node))
        node = user
    raise Unmatched("the probabilities are too far from any product")


def _only_looks(user: torch.fx.Node, node: torch.fx.Node) -> bool:
    """Whether `user` takes no number from `node`."""
    return is_assertion(user) or is_dead(user) or reads_shape(user, node)


def is_cast(node: torch.fx.Node) -> bool:
    """Whether `node` changes nothing but the dtype (or the device)."""
    return node.target in CASTS
