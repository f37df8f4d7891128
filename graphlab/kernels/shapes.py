"""A call's kernel without its neighbours: family, product sizes and strides, told from its rule and its tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from graphlab.facts import NodeCost
from graphlab.graph import Node, TensorSpec
from graphlab.kernels.data import Contraction, GroupNorm, Kernel
from graphlab.kernels.strides import strided_reads

_FAMILIES = {
    "convolution": "contraction", "linear": "contraction", "matmul": "contraction", "attention": "attention",
    "normalization": "normalization", "activation": "pointwise", "elementwise": "pointwise", "reduction": "reduction",
    "embedding": "lookup", "resampling": "movement", "movement": "movement", "other": "movement",
}  # fmt: skip


def plain_kernel(node: Node, cost: NodeCost, given: Sequence[TensorSpec], role: str, dtype: str) -> Kernel:
    """The kernel of `node`, whose tensor arguments are `given`; `dtype` is the stage's, for calls without floats."""
    out = node.outputs[0] if node.outputs else None
    nothing = cost.bytes == 0 and not cost.flops and not cost.pointwise_flops
    return Kernel(
        op=node.target,
        category=cost.category,
        family="none" if nothing else _family(node, cost),
        role=role,
        dtype=_dtype(out, given, dtype),
        flops=cost.flops or 0,
        pointwise_flops=cost.pointwise_flops or 0,
        bytes_read=cost.bytes_read,
        bytes_written=cost.bytes_written,
        contraction=_product(node, cost, given, out) if cost.flops and cost.category != "attention" else None,
        strided=None if nothing or cost.category == "embedding" else strided_reads(given, out),
        known=cost.flops is not None,
        group_norm=_group_norm(node, given),
    )


def _family(node: Node, cost: NodeCost) -> str:
    if cost.category == "normalization" and "softmax" in node.target:
        return "softmax"
    family = _FAMILIES[cost.category]
    if family == "contraction" and cost.flops == 0:  # an einsum that only permutes or multiplies
        return "pointwise" if cost.pointwise_flops else "movement"
    return family


def _dtype(out: TensorSpec | None, given: Sequence[TensorSpec], otherwise: str) -> str:
    """The float the arithmetic is done in: the output's, an input's, or the stage's."""
    for spec in (out, *given):
        if spec is not None and spec.dtype.startswith(("float", "bfloat")):
            return spec.dtype
    return otherwise


_GROUPS = {
    "aten.group_norm.default": (1, "num_groups"),
    "aten.native_group_norm.default": (6, "group"),
    "graphlab.group_norm_silu.default": (1, "groups"),
}
"""{op: (place, name) of its number of groups}: those that PyTorch's kernel for group norms runs."""


def _group_norm(node: Node, given: Sequence[TensorSpec]) -> GroupNorm | None:
    if node.target not in _GROUPS or not given or not given[0].numel:
        return None
    place, name = _GROUPS[node.target]
    count: Any = node.args[place] if len(node.args) > place else dict(node.kwargs)[name]
    groups = given[0].shape[0] * int(count)
    return GroupNorm(groups, given[0].numel // groups)


def _product(node: Node, cost: NodeCost, given: Sequence[TensorSpec], out: TensorSpec | None) -> Contraction | None:
    if "einsum" in node.target and len(given) == 2:
        found = _einsum(str(node.args[0]), given, cost.flops or 0)
        if found is not None:
            return found
    return contraction(cost, given, out)


def _einsum(equation: str, given: Sequence[TensorSpec], flops: int) -> Contraction | None:
    """The product of two operands by its letters: those of both that stay are the batch, of both that go are k.

    None where the letters are not the whole story (no "->", an axis summed before the product).
    """
    left, arrow, kept = equation.replace(" ", "").partition("->")
    if not arrow or "." in left:
        return None
    first, second = (
        {letter: size for letter, size in zip(term, spec.shape, strict=True) if size != 1}
        for term, spec in zip(left.split(","), given, strict=True)
    )
    sizes = first | second
    shared = first.keys() & second.keys()
    found = Contraction(
        batch=math.prod(sizes[letter] for letter in shared if letter in kept),
        m=math.prod(size for letter, size in first.items() if letter not in shared),
        n=math.prod(size for letter, size in second.items() if letter not in shared),
        k=math.prod(sizes[letter] for letter in shared if letter not in kept),
    )
    return found if 2 * math.prod(found[:4]) == flops else None


def contraction(cost: NodeCost, given: Sequence[TensorSpec], out: TensorSpec | None) -> Contraction | None:
    """The matrix products of a call: k is what its FLOPs leave once the output's elements are divided out."""
    if out is None or not cost.flops or not out.numel:
        return None
    k = max(1, cost.flops // (2 * out.numel))
    if cost.category == "convolution" and len(given) > 1:
        return _convolution(given[0], given[1], out, k)
    if not out.shape:
        return Contraction(1, 1, 1, k)
    n = out.shape[-1]
    batched = len(out.shape) > 2 and all(len(spec.shape) > 2 for spec in given[-2:])
    batch = math.prod(out.shape[:-2]) if batched else 1
    return Contraction(batch, out.numel // (n * batch), n, k)


def _convolution(data: TensorSpec, weight: TensorSpec, out: TensorSpec, k: int) -> Contraction:
    spatial = len(weight.shape) - 2
    channels, made = data.shape[-spatial - 1], out.shape[-spatial - 1]
    # Weights are (made, channels / groups, ...), transposed ones (channels, made / groups, ...).
    groups = max(1, channels // weight.shape[1] if weight.shape[0] == made else made // weight.shape[1])
    n = made // groups
    images = data.shape[0] if len(data.shape) == spatial + 2 else 1
    return Contraction(groups, out.numel // made, max(n, 1), k, math.prod(weight.shape[2:]), spatial, images)
