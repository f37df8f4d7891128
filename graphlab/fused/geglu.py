"""`graphlab::geglu`: one half of the last axis times the GELU of the other (Shazeer 2020, arXiv:2002.05202)."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18, value_of
from graphlab.graph import TensorSpec
from graphlab.ops import activation, elementwise
from graphlab.ops.rule import Work, op

aten = torch.ops.aten


def decompose(emit: Emit, x: Any, approximate: str = "none", gate_first: bool = False) -> Any:
    """x (*b, 2 inner) to hidden * gelu(gate) (*b, inner).

    hidden is the first half and gate the second, as in diffusers and CompVis; `gate_first` swaps them. RuntimeError
    when the last axis is odd.
    """
    shape = value_of(x).shape
    if not shape or shape[-1] % 2 != 0:
        raise RuntimeError(f"graphlab::geglu halves the last axis, which must be even; got {tuple(shape)}")
    halves = emit(aten.chunk.default, x, 2, -1)
    first, second = emit(operator.getitem, halves, 0), emit(operator.getitem, halves, 1)
    hidden, gate = (second, first) if gate_first else (first, second)
    return emit(aten.mul.Tensor, hidden, emit(aten.gelu.default, gate, approximate=approximate))


def onnx(x: Any, approximate: str = "none", gate_first: bool = False) -> Any:
    """Split, gelu by its formula (the operator Gelu is of opset 20), Mul. A com.microsoft kernel is BiasSplitGelu,
    which takes a bias, an erf gelu and the gate last."""
    onnx_op = opset18()
    first, second = onnx_op.Split(x, axis=-1, num_outputs=2)
    hidden, gate = (second, first) if gate_first else (first, second)
    if approximate == "tanh":
        cube = onnx_op.Mul(onnx_op.Mul(gate, gate), gate)
        inner = onnx_op.Mul(onnx_op.Add(gate, onnx_op.Mul(cube, 0.044715)), math.sqrt(2 / math.pi))
        bent = onnx_op.Tanh(inner)
    else:
        bent = onnx_op.Erf(onnx_op.Div(gate, math.sqrt(2)))
    return onnx_op.Mul(hidden, onnx_op.Mul(onnx_op.Mul(gate, onnx_op.Add(bent, 1.0)), 0.5))


GEGLU = define("geglu(Tensor x, str approximate='none', bool gate_first=False) -> Tensor", decompose, onnx)


@op(str(GEGLU), category="activation", axes="same")
def rule(x: TensorSpec, approximate: str = "none", gate_first: bool = False, *, out: TensorSpec) -> Work:
    """An output element: as gelu, and 1 for the product. The halves are read and the output written, nothing else."""
    gelu = activation.gelu(out, approximate=approximate, out=out)
    return Work(0, gelu.pointwise + elementwise.mul(out, out, out=out).pointwise)
