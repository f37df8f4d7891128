"""Optimising a model: in time that grows with its nodes, and not with their square."""

from __future__ import annotations

import onnx_ir as ir
from onnxscript import rewriter

from graphlab.exporting.cleanup import clean, linear_rules
from graphlab.exporting.targets import target_named


def test_no_rule_looks_through_the_whole_graph() -> None:
    # A pattern of several outputs is tried with every other node of the graph.
    assert all(rule._target_pattern.has_single_output_node for rule in linear_rules())
    assert len(linear_rules()) == len(rewriter._DEFAULT_REWRITE_RULES) - 1


def test_what_is_left_out_costs_the_square() -> None:
    left_out = [rule for rule in rewriter._DEFAULT_REWRITE_RULES if rule not in linear_rules()]
    assert [rule._target_pattern.has_single_output_node for rule in left_out] == [False]


def test_constants_fold_and_what_does_nothing_goes() -> None:
    x = ir.val("x", dtype=ir.DataType.FLOAT, shape=ir.Shape([2]))
    two, three = (ir.node("Constant", [], {"value": ir.tensor([number])}) for number in (2.0, 3.0))
    total = ir.node("Add", [two.outputs[0], three.outputs[0]])
    same = ir.node("Cast", [x], {"to": 1})
    result = ir.node("Mul", [same.outputs[0], total.outputs[0]])
    result.outputs[0].name = "y"
    nodes = [two, three, total, same, result]
    model = ir.Model(ir.Graph([x], list(result.outputs), nodes=nodes, opset_imports={"": 23}), ir_version=10)
    clean(model, target_named("standard"))
    assert [node.op_type for node in model.graph] == ["Mul"]
    assert [value.const_value.numpy().tolist() for value in model.graph.initializers.values()] == [[5.0]]
