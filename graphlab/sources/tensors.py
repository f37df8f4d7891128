"""What is known of a tensor in a file without reading its data: shape, dtype, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ITEM_BITS: Mapping[str, int] = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16, "complex32": 32, "complex64": 64,
    "complex128": 128, "int64": 64, "int32": 32, "int16": 16, "int8": 8, "uint8": 8, "uint16": 16,
    "uint32": 32, "uint64": 64, "bool": 8, "float8_e4m3fn": 8, "float8_e5m2": 8, "float8_e4m3fnuz": 8,
    "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8, "float4_e2m1fn_x2": 8, "qint8": 8, "quint8": 8, "qint32": 32,
}  # fmt: skip
"""Bits of one element, by torch's name of the dtype; float4_e2m1fn_x2 stores two values in one element."""


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """One stored tensor. `shape` is the model's (values, not packed bytes); `nbytes` what the file holds.

    `dtype` is torch's name, or "gguf:<type>" for a block format. `packed` says that `shape` is only known up
    to its number of values, as for four-bit weights that a library stores as a flat run of bytes.
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    packed: bool = False

    @property
    def values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class StateDictIndex:
    """Every tensor of a checkpoint by key, in the file's order, and what had to be assumed to find it.

    `source` names the file for messages; `layout` its format ("safetensors", "torch.save zip", "gguf", ...).
    """

    source: str
    layout: str
    tensors: Mapping[str, TensorMeta]
    assumptions: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, an alias counted as often as it has keys."""
        return sum(meta.nbytes for meta in self.tensors.values())

    @property
    def values(self) -> int:
        """Number of values of all tensors."""
        return sum(meta.values for meta in self.tensors.values())


def common_prefix(keys: Iterable[str], prefix: str) -> bool:
    """Whether there are keys and every one starts with `prefix`."""
    names = list(keys)
    return bool(names) and all(name.startswith(prefix) for name in names)
