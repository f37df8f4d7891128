"""Operators that say the same otherwise in a later opset: torch's translations are written in those of opset 18."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SINCE = 20
_MODES = {"bilinear": "linear", "bicubic": "cubic"}


def convert(model: Any, opset: int) -> None:
    """Says in the words of `opset` what nodes of `model` say in those of an earlier one; results keep their names."""
    if opset < _SINCE:
        return
    for node in list(model.graph):
        change = _CHANGED.get(node.op_type) if not node.domain else None
        if change is not None and (node.version or 0) < _SINCE:
            change(node)


def _grid_sample(node: Any) -> None:
    """The modes have other names since opset 20."""
    import onnx_ir as ir

    mode = node.attributes.get_string("mode", "bilinear")
    node.attributes["mode"] = ir.AttrString("mode", _MODES.get(mode, mode))


def _dft(node: Any) -> None:
    """The axis is an input since opset 20, where it was an attribute."""
    import onnx_ir as ir

    axis = node.attributes.pop("axis", ir.AttrInt64("axis", 1)).as_int()
    made = ir.node("Constant", [], {"value": ir.tensor(axis, dtype=ir.DataType.INT64)})
    node.prepend(made)
    node.resize_inputs(3)
    node.replace_input_with(2, made.outputs[0])


_CHANGED: Mapping[str, Callable[[Any], None]] = {"GridSample": _grid_sample, "DFT": _dft}
