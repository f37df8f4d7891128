"""What every model goes through after translation: constants folded, duplicates and dead nodes out, notes too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphlab.exporting.opsets import convert
from graphlab.exporting.targets import Target

_KEPT = ("pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy")
"""Notes of a node that say which module it comes from; stack traces and fx text are three quarters of a file."""

ITERATIONS = 2
"""Rounds of folding and rewriting at most: what the second leaves, a third seldom finds."""


def clean(model: Any, target: Target) -> None:
    """Optimises `model` in place, without reading weights, and sets its opsets."""
    from onnx_ir.passes import common

    _copy_results(model)
    convert(model, target.opset)
    _set_opsets(model, target)  # passes of onnx_ir look up an operator's outputs by it, and do nothing without
    with _weights_as_inputs(model):
        _optimize(model)
        common.CommonSubexpressionEliminationPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.RemoveUnusedFunctionsPass()(model)  # type: ignore[no-untyped-call]  # its constructor has no types
    _strip(model)
    _set_opsets(model, target)


def _optimize(model: Any) -> None:
    """What `onnxscript.optimizer.optimize_ir` does, but for one rule that looks through the whole graph at each node.

    That rule joins slices to a Split; with it, time would grow with the square of the nodes.
    """
    from onnx_ir.passes import common
    from onnxscript import optimizer, rewriter

    common.InlinePass()(model)
    for _ in range(ITERATIONS):
        folded = optimizer.fold_constants_ir(model, onnx_shape_inference=False)
        rewritten = rewriter.RewritePass(linear_rules())(model)
        unused = [common.RemoveUnusedNodesPass()(model)]
        unused.append(common.RemoveUnusedFunctionsPass()(model))  # type: ignore[no-untyped-call]  # as above
        if not any(result.modified for result in (folded, rewritten, *unused)):
            break
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    for each in (
        common.LiftSubgraphInitializersToMainGraphPass(), common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(), common.OutputFixPass(), common.NameFixPass(),
    ):  # fmt: skip
        each(model)


def linear_rules() -> tuple[Any, ...]:
    """onnxscript's rules but the one above; the list itself is not public, tests/exporting/test_cleanup.py pins it."""
    from onnxscript import rewriter
    from onnxscript.rewriter.rules.common import slice_split_rule

    return tuple(rule for rule in rewriter._DEFAULT_REWRITE_RULES if rule is not slice_split_rule)


def _set_opsets(model: Any, target: Target) -> None:
    model.opset_imports.clear()
    model.opset_imports[""] = target.opset
    for domain in sorted({node.domain for node in model.graph if node.domain}):
        model.opset_imports[domain] = 1
    for function in model.functions.values():  # torch's translations are of opset 18; they are not put in place else
        function.opset_imports[""] = target.opset


@contextmanager
def _weights_as_inputs(model: Any) -> Iterator[None]:
    """Inside, weights are inputs without values: nothing tries to read them."""
    weights = [(value, value.const_value) for value in model.graph.initializers.values()]
    for value, _ in weights:
        del model.graph.initializers[value.name]
        value.const_value = None
        model.graph.inputs.append(value)
    try:
        yield
    finally:
        for value, tensor in weights:
            model.graph.inputs.remove(value)
            value.const_value = tensor
            model.graph.initializers[value.name] = value


def _copy_results(model: Any) -> None:
    """A result that is an input, a weight, or a result already, as a copy of it: ONNX has results of their own.

    onnx_ir's pass for this would give the result the name, and the input or weight another.
    """
    import onnx_ir as ir

    taken = {id(value) for value in (*model.graph.inputs, *model.graph.initializers.values())}
    for index, value in enumerate(model.graph.outputs):
        if id(value) in taken:
            copy = ir.node("Identity", [value])
            copy.outputs[0].name = f"{value.name}_{index}"
            copy.outputs[0].type, copy.outputs[0].shape = value.type, value.shape
            model.graph.append(copy)
            model.graph.outputs[index] = copy.outputs[0]
        taken.add(id(value))


def _strip(model: Any) -> None:
    model.graph.metadata_props.clear()
    model.metadata_props.clear()
    for node in model.graph:
        for key in [key for key in node.metadata_props if key not in _KEPT]:
            del node.metadata_props[key]
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values(), *model.graph.outputs):
        value.metadata_props.clear()
