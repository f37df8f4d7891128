"""The table against ATen: names, order, defaults and aliasing of every rule agree with the operator's schema."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from graphlab.ops import CATEGORIES, TABLE, OpRule
from graphlab.ops.axes import STRUCTURAL
from tests.ops.oracle import overload

FOREIGN = ("onnx.", "com.microsoft.")  # operators of ONNX: torch has no schema of theirs
ATEN = sorted(target for target in TABLE if target != "getitem" and not target.startswith(FOREIGN))

# Ops whose schema says nothing of the alias: unsafe_split and _unsafe_view promise autograd that there is none,
# dropout is its input in eval, type_as is a `to`, and meshgrid gives views.
UNANNOTATED = (
    "dropout", "feature_dropout", "alpha_dropout", "_unsafe_view", "unsafe_split", "unsafe_split_with_sizes",
    "unsafe_chunk", "meshgrid", "broadcast_tensors", "type_as",
)  # fmt: skip


def _default(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return value


def _same_default(schema: Any, ours: Any) -> bool:
    if ours == "torch.contiguous_format":
        return schema == 0
    if ours == "torch.int64":
        return schema == 4
    return bool(_default(schema) == _default(ours))


@pytest.mark.parametrize("target", ATEN)
def test_parameters_are_the_schema(target: str) -> None:
    wanted = [a for a in overload(target)._schema.arguments if a.name != "generator"]
    ours = [p for name, p in inspect.signature(TABLE[target].body).parameters.items() if name != "out"]
    assert [p.name for p in ours] == [a.name for a in wanted]
    assert [p.kind is p.KEYWORD_ONLY for p in ours] == [a.kwarg_only for a in wanted]
    for parameter, argument in zip(ours, wanted, strict=True):
        has_default = parameter.default is not inspect.Parameter.empty
        assert has_default == argument.has_default_value(), parameter.name
        if has_default:
            assert _same_default(argument.default_value, parameter.default), parameter.name


def _aliased(target: str) -> bool:
    schema = overload(target)._schema
    return any(r.alias_info is not None for r in schema.returns)


@pytest.mark.parametrize("target", ATEN)
def test_moves_agree_with_alias_marks(target: str) -> None:
    rule = TABLE[target]
    name = target.split(".")[1]
    if name in UNANNOTATED:
        assert rule.moves in ("view", "identity", "cast")
        assert not _aliased(target)
        return
    assert (rule.in_place or rule.moves != "compute") == _aliased(target)


@pytest.mark.parametrize("target", ATEN)
def test_in_place_is_a_write_mark(target: str) -> None:
    arguments = overload(target)._schema.arguments
    writes = any(a.alias_info is not None and a.alias_info.is_write for a in arguments)
    assert TABLE[target].in_place == writes


def test_every_rule_is_described_and_known_to_the_axis_rules() -> None:
    for rule in TABLE.values():
        assert rule.convention, rule.target
        assert rule.category in CATEGORIES
        assert "->" in rule.axes or rule.axes in STRUCTURAL, rule.target


def _pattern_terms(rule: OpRule) -> Sequence[str]:
    return rule.axes.split("->")[0].split(",")


@pytest.mark.parametrize("target", [t for t in ATEN if "->" in TABLE[t].axes])
def test_axis_patterns_name_the_leading_tensors(target: str) -> None:
    tensors = [a for a in overload(target)._schema.arguments if isinstance(a.type, (torch.TensorType,))]
    assert len(_pattern_terms(TABLE[target])) <= len(tensors) + 1
    letters = {part for term in _pattern_terms(TABLE[target]) for part in term.split()}
    assert set(TABLE[target].axes.split("->")[1].split()) <= letters


def test_unknown_op_has_no_rule() -> None:
    from graphlab.ops import rule_for

    assert rule_for("aten._upsample_bilinear2d_aa.default") is None
    assert rule_for("mylib.foo.default") is None


def test_registering_twice_raises() -> None:
    from graphlab.ops import Work, op

    with pytest.raises(ValueError, match="two rules"):
        op("aten.mm.default", category="matmul", axes="m k, k n -> m n")(lambda **_: Work())
    with pytest.raises(ValueError, match="category 'nonsense'"):
        op("aten.foo.default", category="nonsense", axes="same")
