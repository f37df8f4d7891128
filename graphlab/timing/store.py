"""Tensors in safetensors files: written one at a time, mapped by every process that reads them."""

from __future__ import annotations

import ctypes
import json
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from graphlab.timing.errors import BenchError
from graphlab.units import format_bytes

_DTYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.complex64: "C64",
}  # fmt: skip
_SPARE_BYTES = 64 << 20


def write_tensors(path: Path, likes: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Writes `values` of every key of `likes` (tensors of their shapes and dtypes, on any device) to the file `path`.

    No more than one of `values` is in memory. BenchError where the disk has no room, or for a dtype of no number.
    """
    header: dict[str, object] = {}
    offset = 0
    for key, like in likes.items():
        if like.dtype not in _DTYPES:
            raise BenchError(f"{key} is {like.dtype}, which cannot be handed to another process")
        end = offset + like.numel() * like.element_size()
        header[key] = {"dtype": _DTYPES[like.dtype], "shape": list(like.shape), "data_offsets": [offset, end]}
        offset = end
    free = shutil.disk_usage(path.parent).free
    if offset + _SPARE_BYTES > free:
        raise BenchError(
            f"weights of {format_bytes(offset)} do not fit into {path.parent}, where {format_bytes(free)} are free",
            hint="set TMPDIR to a folder with room",
        )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("xb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for key, like in likes.items():
            _write(file, key, values[key], like)


def _write(file: BinaryIO, key: str, value: torch.Tensor, like: torch.Tensor) -> None:
    if value.shape != like.shape or value.dtype != like.dtype:
        raise BenchError(f"{key} is {value.dtype} {tuple(value.shape)}, expected {like.dtype} {tuple(like.shape)}")
    data = value.detach().cpu().contiguous()
    nbytes = data.numel() * data.element_size()
    if nbytes:
        file.write((ctypes.c_char * nbytes).from_address(data.data_ptr()))


class StoredTensors(Mapping[str, torch.Tensor]):
    """{key: CPU tensor} of several files, in the order they were written; of a key in two files, that of the last.

    Tensors are views of the mapped files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        from safetensors import safe_open

        self.home: dict[str, Any] = {}
        for path in paths:
            self.home.update(dict.fromkeys(_keys(path), safe_open(str(path), framework="pt")))

    def __getitem__(self, key: str) -> torch.Tensor:
        """The tensor `key`; KeyError where there is none."""
        found = self.home[key].get_tensor(key)
        assert isinstance(found, torch.Tensor)
        return found

    def __iter__(self) -> Iterator[str]:
        """The keys in the order of the files."""
        return iter(self.home)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self.home)


def _keys(path: Path) -> list[str]:
    """The keys of a file of `write_tensors` in its order, which safetensors does not keep."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return list(json.loads(file.read(length)))
