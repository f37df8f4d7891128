"""Writing operators of com.microsoft from a translation: they have no schema that onnxscript knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphlab.exporting.targets import CONTRIB
from graphlab.exporting.torchlib import recorder


def contrib(op_type: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
    """The result of a com.microsoft operator, or a tuple of `outputs`; None for an input that is left out."""
    return node(CONTRIB, op_type, inputs, attributes, outputs)


def node(domain: str, op_type: str, inputs: Sequence[Any], attributes: dict[str, Any], outputs: int = 1) -> Any:
    """The result, or tuple of results, of an operator written as it stands."""
    import onnx_ir as ir

    given = list(inputs)
    while given and given[-1] is None:
        given.pop()
    made = ir.Node(
        domain, op_type, given, ir.convenience.convert_attributes(attributes), num_outputs=outputs,
        version=1 if domain == CONTRIB else None,
    )  # fmt: skip
    recorder().nodes.append(made)
    return made.outputs[0] if outputs == 1 else tuple(made.outputs)
