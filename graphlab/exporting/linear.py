"""Linear layers as ONNX has them: products with a transposed weight, and gated layers as two where that is faster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.fused.registry import arguments
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten
Node = torch.fx.Node


@dataclass(frozen=True, slots=True)
class Transposed:
    """The recipe of a transposed weight."""

    key: str

    def __call__(self, tensors: Any) -> torch.Tensor:
        """(out, in) to (in, out), in memory of its own."""
        value: torch.Tensor = tensors[self.key].t().contiguous()
        return value


@dataclass(frozen=True, slots=True)
class Half:
    """The recipe of one half of a weight or bias, along its first axis."""

    key: str
    index: int

    def __call__(self, tensors: Any) -> torch.Tensor:
        """(2 n, ...) to (n, ...), in memory of its own."""
        value: torch.Tensor = tensors[self.key].chunk(2, 0)[self.index].clone()
        return value


def transpose(node: Node, draft: Draft, tied: Collection[str]) -> None:
    """x W^T + b over more than two axes becomes a product with W^T, written once; ONNX has no operator for it.

    A weight that is read elsewhere too (a tied embedding) stays as it is: twice on disk is worse than a transposition
    when a session is made.
    """
    given = arguments(node)
    x, weight, bias = given["input"], given["weight"], given["bias"]
    key = draft.fixed_key(weight)
    if x.meta["val"].dim() == 2 or key is None or any(user.target is not aten.linear.default for user in weight.users):
        return
    if key in tied:
        return
    turned = _made(draft, f"{key}.T", key, Transposed(key))
    product = draft.call(aten.matmul.default, x, turned, at=node)
    new = draft.call(aten.add.Tensor, product, bias, at=node) if bias is not None else product
    draft.replace(node, new, "the weight is written transposed")


def halve(node: Node, draft: Draft, tied: Collection[str]) -> None:
    """A gated layer, geglu of one linear layer, as two linear layers: the split of the product copies all of it."""
    given = arguments(node)
    source = given["x"]
    if not isinstance(source, Node) or source.target is not aten.linear.default or len(source.users) != 1:
        return
    layer = arguments(source)
    weights = [layer["weight"], *([layer["bias"]] if layer["bias"] is not None else [])]
    keys = [draft.fixed_key(weight) for weight in weights]
    if None in keys or any(len(w.users) > 1 or k in tied for w, k in zip(weights, keys, strict=True)):
        return
    halves = []
    for index in range(2):
        parts = [_made(draft, f"{key}.{index}", str(key), Half(str(key), index)) for key in keys]
        halves.append(draft.call(aten.linear.default, layer["input"], *parts, at=node))
    hidden, gate = halves[::-1] if given["gate_first"] else halves
    bent = draft.call(aten.gelu.default, gate, at=node, approximate=given["approximate"])
    draft.replace(node, draft.call(aten.mul.Tensor, hidden, bent, at=node), "hidden and gate are two layers")


def _made(draft: Draft, name: str, key: str, make: Any) -> Node:
    """The weight `name` made of `key`, once."""
    known = next((n for n in draft.graph.find_nodes(op="placeholder") if draft.weight_key(n) == name), None)
    return known if known is not None else draft.add_weight(name, [key], make)


def tied_keys(draft: Draft) -> frozenset[str]:
    """Keys of weights that are the memory of another one, too."""
    homes: dict[int, list[str]] = {}
    for held in (draft.state, draft.constants):
        for key, value in held.items():
            if isinstance(value, torch.Tensor):
                homes.setdefault(value.untyped_storage()._cdata, []).append(key)
    return frozenset(key for keys in homes.values() if len(keys) > 1 for key in keys)
