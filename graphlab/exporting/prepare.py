"""The last rewrite before translating: what ONNX says otherwise than ATen, said in the words of ONNX.

Operators no translation knows become those they are made of; arguments of several dtypes are cast as torch promotes
them; views lose sizes that follow from the others; weights of linear layers are transposed once, when they are written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.exporting.attention import four_axes, show_hidden_rows, widen_mask
from graphlab.exporting.decompose import spell_out
from graphlab.exporting.errors import ExportError
from graphlab.exporting.linear import halve, tied_keys, transpose
from graphlab.exporting.promote import promote
from graphlab.exporting.reshape import RESHAPE
from graphlab.exporting.targets import ATTENTION_SINCE, Target
from graphlab.exporting.torchlib import first_opset, registry, translates
from graphlab.exporting.translations import translations
from graphlab.fused.geglu import GEGLU
from graphlab.fused.registry import arguments
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten

_CASTS = (aten.to.dtype, aten.to.dtype_layout, aten.to.device, aten.to.other, aten.type_as.default)
_SELECTIONS = (
    aten.where.Scalar, aten.where.ScalarSelf, aten.where.ScalarOther, aten.masked_fill.Scalar, aten.masked_fill.Tensor,
)  # fmt: skip
_SPLITS = (aten.chunk.default, aten.split.Tensor, aten.split.sizes, aten.split_with_sizes.default)
_VIEWS = (aten.view.default, aten.reshape.default, aten._unsafe_view.default)
_ROUNDS = 8
"""Decompositions inside decompositions; real ones are two or three deep."""


@dataclass(frozen=True)
class PrepareForOnnx(Rewrite):
    """A program whose every operator the target's translations know."""

    target: Target

    name: ClassVar[str] = "prepare-for-onnx"

    def apply(self, draft: Draft) -> None:
        """Checks dropped, casts, decompositions, promotions, views, linear layers."""
        _drop_checks(draft)
        for node in draft.calls(*_CASTS):
            _cast(node, draft)
        self._decompose(draft)
        for node in draft.calls(*_SELECTIONS):
            _select(node, draft)
        for node in draft.calls(aten.scaled_dot_product_attention.default):
            four_axes(node, draft)
        for node in draft.calls(aten.scaled_dot_product_attention.default):
            widen_mask(node, draft)
        if self.target.opset < ATTENTION_SINCE:
            known = Known(draft)
            for node in draft.calls(aten.scaled_dot_product_attention.default):
                show_hidden_rows(node, draft, known)
        promote(draft)
        for node in draft.calls(*_SPLITS):
            _split(node, draft)
        for node in draft.calls(*_VIEWS):
            _view(node, draft)
        tied = tied_keys(draft)
        if self.target.halves_geglu:
            for node in draft.calls(GEGLU):
                halve(node, draft, tied)
        for node in draft.calls(aten.linear.default):
            transpose(node, draft, tied)
        draft.sweep()

    def _decompose(self, draft: Draft) -> None:
        table = registry(self.target.opset, translations(self.target))
        for _ in range(_ROUNDS):
            unknown = [node for node in draft.calls() if not translates(table, node.target)]
            if not unknown:
                return
            for node in unknown:
                if not spell_out(node, draft):
                    raise _untranslatable(node, self.target)
                _drop_checks(draft)
        raise _untranslatable(unknown[0], self.target)


def _untranslatable(node: torch.fx.Node, target: Target) -> ExportError:
    later = first_opset(node.target, target.opset)
    if later is not None:
        return ExportError(
            f"{node.target} (node {node.name}) cannot be written at opset {target.opset}",
            hint=f"it is of opset {later}: --opset {later}",
        )
    hint = "" if target.name == "standard" else "try --target standard, or "
    return ExportError(
        f"{node.target} (node {node.name}) has no ONNX translation for target {target.name}",
        hint=f"{hint}rewrite the model without it",
    )


def _drop_checks(draft: Draft) -> None:
    """Assertions compute nothing; what only they read goes with them."""
    for node in draft.calls():
        if node.users or ("assert" not in str(node.target) and "sym_constrain" not in str(node.target)):
            continue
        draft.erased([node], "a check computes nothing")


def _cast(node: torch.fx.Node, draft: Draft) -> None:
    source = node.args[0]
    assert isinstance(source, torch.fx.Node)
    dtype = node.meta["val"].dtype
    if source.meta["val"].dtype == dtype:
        draft.replace(node, source, "a cast to the dtype it has")
        return
    draft.replace(
        node, draft.call(aten._to_copy.default, source, at=node, dtype=dtype, value=node.meta["val"]), "a cast"
    )


def _select(node: torch.fx.Node, draft: Draft) -> None:
    """where and masked_fill with numbers as where of tensors of the result's dtype."""
    made = node.meta["val"]
    masked = node.target in (aten.masked_fill.Scalar, aten.masked_fill.Tensor)
    condition, first, second = (node.args[1], node.args[2], node.args[0]) if masked else node.args[:3]
    chosen = [
        value
        if isinstance(value, torch.fx.Node) and isinstance(value.meta["val"], torch.Tensor)
        else draft.call(aten.scalar_tensor.default, value, at=node, dtype=made.dtype, device=made.device)
        for value in (first, second)
    ]
    if masked:  # the filled value takes the dtype of what it is filled into
        chosen = [_as(value, made.dtype, draft, node) for value in chosen]
    new = draft.call(aten.where.self, condition, *chosen, at=node, value=made)
    draft.replace(node, new, "numbers as tensors")


def _as(value: torch.fx.Node, dtype: torch.dtype, draft: Draft, at: torch.fx.Node) -> torch.fx.Node:
    if value.meta["val"].dtype == dtype:
        return value
    return draft.call(aten._to_copy.default, value, at=at, dtype=dtype)


def _split(node: torch.fx.Node, draft: Draft) -> None:
    """Parts of known sizes as one split with sizes; parts whose sizes depend on the inputs stay as they are."""
    given, parts = arguments(node), node.meta["val"]
    dim = int(given["dim"])
    sizes = [part.shape[dim] for part in parts]
    if not all(isinstance(size, int) or size.node.expr.is_Integer for size in sizes):
        return
    made = draft.call(aten.split_with_sizes.default, given["self"], list(map(int, sizes)), dim, at=node, value=parts)
    readers = {user: draft.item(made, user.args[1], at=node) for user in node.users}  # type: ignore[arg-type]  # getitem
    if readers and node.target is not aten.split_with_sizes.default:
        draft.replace_all(readers, "one split")


def _view(node: torch.fx.Node, draft: Draft) -> None:
    """Sizes that stay become 0, one that follows from the others -1; static views stay as they are."""
    source, sizes = node.args[0], list(node.args[1])  # type: ignore[arg-type]  # a list of sizes by the schema
    assert isinstance(source, torch.fx.Node)
    before, after = source.meta["val"].shape, node.meta["val"].shape
    if all(isinstance(size, int) for size in sizes) or any(isinstance(size, int) and size == 0 for size in after):
        return
    made: list[Any] = []
    for index, size in enumerate(sizes):
        fixed = isinstance(after[index], int) or after[index].node.expr.is_Integer
        if fixed:
            made.append(int(after[index]))
        elif index < len(before) and same_size(before[index], after[index]):
            made.append(0)
        else:
            made.append(size)
    open_ = [index for index, size in enumerate(made) if not isinstance(size, int)]
    if open_ and -1 not in made:
        made[open_[-1]] = -1  # the innermost: the outer ones are read more often
    new = draft.call(RESHAPE, source, made, at=node, value=node.meta["val"])
    draft.replace(node, new, "sizes that stay or follow are not computed")
