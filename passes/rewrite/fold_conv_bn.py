"""fold-conv-bn: batch normalisation into the weights of the convolution before it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Rewrite

Node = torch.fx.Node
aten = torch.ops.aten

_CONVOLUTIONS = {
    *(aten.conv1d.default, aten.conv2d.default, aten.conv3d.default),
    *(aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding),
}
_TRANSPOSED = {aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input}
_NORMS = (aten.batch_norm.default, aten._native_batch_norm_legit_no_training.default)


@dataclass(frozen=True)
class FoldConvBn(Rewrite):
    """Folds batch normalisation with running statistics into the convolution, or linear layer, that it follows.

    Before: `a = conv2d(x, w, b); y = batch_norm(a, gamma, beta, mean, var, False)`.
    After: `y = conv2d(x, w', b')` with w' = w gamma / sqrt(var + eps) per output channel and
    b' = (b - mean) gamma / sqrt(var + eps) + beta, computed in float32 or wider and rounded once.

    Transposed and grouped convolutions too, and linear layers over (N, features). Stays: batch statistics, a
    convolution that something else reads, weights that are computed or shared.
    """

    name: ClassVar[str] = "fold-conv-bn"

    def apply(self, draft: Draft) -> None:
        """Tries every batch normalisation."""
        for norm in draft.calls(*_NORMS):
            product = norm.args[0]
            if not isinstance(product, Node) or not _is_product(product):
                continue
            why = _why_not(draft, norm, product)
            if why:
                draft.skip(norm, why)
            else:
                _fold(draft, norm, product)


def _is_product(node: Node) -> bool:
    return node.target in _CONVOLUTIONS | _TRANSPOSED or node.target is aten.linear.default


def _why_not(draft: Draft, norm: Node, product: Node) -> str:
    """Why `norm` stays; "" when it can be folded into `product`."""
    given, made = arguments(norm), arguments(product)
    if given.get("training") is not False and norm.target is aten.batch_norm.default:
        return "it normalises by the statistics of the batch"
    if len(product.users) > 1:
        return f"{product.name} is read elsewhere"
    if product.meta["val"].dim() != made["weight"].meta["val"].dim():
        return f"it normalises another axis than the one {product.name} makes: there is none of the batch, or several"
    parts = [made["weight"], made["bias"], *(given[k] for k in ("weight", "bias", "running_mean", "running_var"))]
    if given["running_mean"] is None or given["running_var"] is None:
        return "it has no running statistics"
    weights = [part for part in parts if part is not None]
    if any(not isinstance(part, Node) or draft.fixed_key(part) is None for part in weights):
        return "a weight or statistic is computed, or written in every call"
    if any(len(part.users) > 1 for part in (made["weight"], made["bias"]) if part is not None):
        return f"the weights of {product.name} are used elsewhere"
    if norm.target is not aten.batch_norm.default and any(user.args[1] != 0 and user.users for user in norm.users):
        return "its statistics are read"
    return "" if made["weight"].meta["val"].is_floating_point() else "the weights are quantised"


def _fold(draft: Draft, norm: Node, product: Node) -> None:
    given, made = arguments(norm), arguments(product)
    keys = {
        "weight": draft.weight_key(made["weight"]),
        "bias": draft.weight_key(made["bias"]) if made["bias"] is not None else None,
        "gamma": draft.weight_key(given["weight"]) if given["weight"] is not None else None,
        "beta": draft.weight_key(given["bias"]) if given["bias"] is not None else None,
        "mean": draft.weight_key(given["running_mean"]),
        "var": draft.weight_key(given["running_var"]),
    }
    axis = 1 if product.target in _TRANSPOSED else 0
    fold = _Fold(keys, float(given["eps"]), axis, made.get("groups") or 1)
    origins = [key for key in keys.values() if key is not None]
    stem = keys["weight"] or ""
    weight = draft.add_weight(draft.free_key(f"{stem}_folded"), origins, fold.weight)
    prefix = stem.rpartition(".")[0]
    bias = draft.add_weight(draft.free_key(f"{prefix}{'.' if prefix else ''}bias_folded"), origins, fold.bias)
    call = {**made, "weight": weight, "bias": bias}
    new = draft.call(product.target, *call.values(), at=norm)
    why = f"batch normalisation after {product.name}"
    if norm.target is aten.batch_norm.default:
        draft.replace(norm, new, why)
    else:
        assert all(user.target is operator.getitem for user in norm.users)
        for unread in [user for user in norm.users if user.args[1] != 0]:
            draft.erase_dead(unread)
        draft.replace_all(dict.fromkeys(norm.users, new), why)


@dataclass(frozen=True, slots=True)
class _Fold:
    """The new weight and bias of the tensors `keys` name (None: not there). `axis` of the weight is the output's."""

    keys: Mapping[str, str | None]
    eps: float
    axis: int
    groups: int

    def weight(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """w gamma / sqrt(var + eps), in the dtype of w."""
        old = self._of(tensors, "weight")
        assert old is not None
        wide, scale = old.to(_wide(old.dtype)), self._scale(tensors)
        if self.axis == 0:
            made = wide * scale.reshape(-1, *[1] * (old.dim() - 1))
        else:  # (in, out / groups, ...): the outputs of a group are in its own part of the first axis
            parts = wide.reshape(self.groups, -1, *old.shape[1:])
            made = (parts * scale.reshape(self.groups, 1, -1, *[1] * (old.dim() - 2))).reshape(old.shape)
        return made.to(old.dtype)

    def bias(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(b - mean) gamma / sqrt(var + eps) + beta, in the dtype of w."""
        old, beta = self._of(tensors, "bias"), self._of(tensors, "beta")
        weight, mean = self._of(tensors, "weight"), self._of(tensors, "mean")
        assert weight is not None
        assert mean is not None
        scale = self._scale(tensors)
        shifted = (0 if old is None else old.to(scale.dtype)) - mean.to(scale.dtype)
        made = shifted * scale
        return (made if beta is None else made + beta.to(scale.dtype)).to(weight.dtype)

    def _scale(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        weight, var, gamma = (self._of(tensors, name) for name in ("weight", "var", "gamma"))
        assert weight is not None
        assert var is not None
        root = torch.rsqrt(var.to(_wide(torch.promote_types(weight.dtype, var.dtype))) + self.eps)
        return root if gamma is None else root * gamma.to(root.dtype)

    def _of(self, tensors: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
        key = self.keys[name]
        return None if key is None else tensors[key]


def _wide(dtype: torch.dtype) -> Any:
    """The dtype to compute in: float32 at least."""
    return torch.promote_types(dtype, torch.float32)
