"""ONNX element types as torch dtypes."""

from __future__ import annotations

import onnx_ir as ir
import torch

from graphlab.errors import SourceError

_TORCH: dict[ir.DataType, torch.dtype] = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.BFLOAT16: torch.bfloat16,
    ir.DataType.FLOAT8E4M3FN: torch.float8_e4m3fn,
    ir.DataType.FLOAT8E4M3FNUZ: torch.float8_e4m3fnuz,
    ir.DataType.FLOAT8E5M2: torch.float8_e5m2,
    ir.DataType.FLOAT8E5M2FNUZ: torch.float8_e5m2fnuz,
    ir.DataType.FLOAT8E8M0: torch.float8_e8m0fnu,
    ir.DataType.INT64: torch.int64,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.UINT16: torch.uint16,
    ir.DataType.UINT32: torch.uint32,
    ir.DataType.UINT64: torch.uint64,
    ir.DataType.BOOL: torch.bool,
    ir.DataType.COMPLEX64: torch.complex64,
    ir.DataType.COMPLEX128: torch.complex128,
}

PACKED: dict[ir.DataType, int] = {
    ir.DataType.INT4: 2,
    ir.DataType.UINT4: 2,
    ir.DataType.FLOAT4E2M1: 2,
    ir.DataType.INT2: 4,
    ir.DataType.UINT2: 4,
}
"""Elements a byte of the types smaller than one: they are held as uint8."""


def torch_dtype(dtype: ir.DataType | int | None, what: str) -> torch.dtype:
    """The torch dtype of an ONNX element type; SourceError for strings and types torch has none for."""
    kind = ir.DataType(dtype) if dtype is not None else ir.DataType.UNDEFINED
    if kind in PACKED:
        return torch.uint8
    if kind not in _TORCH:
        raise SourceError(f"{what} has the element type {kind.name}, which graphlab does not know")
    return _TORCH[kind]


def dtype_name(dtype: torch.dtype) -> str:
    """ "float32" of torch.float32."""
    return str(dtype).removeprefix("torch.")
