"""Headers of safetensors and GGUF files to tensor shapes and bytes; the weights are not read."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from graphlab.errors import SourceError
from graphlab.sources.sniff import MAX_SAFETENSORS_HEADER
from graphlab.sources.tensors import ITEM_BITS, StateDictIndex, TensorMeta

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "BOOL": "bool", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz", "C64": "complex64",
}  # fmt: skip
_HINT = "fetch or save the file again"

# Name, values per block, bytes per block: enum ggml_type and the block structs of ggml/src/ggml-common.h.
GGUF_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("float32", 1, 4), 1: ("float16", 1, 2), 2: ("gguf:q4_0", 32, 18), 3: ("gguf:q4_1", 32, 20),
    6: ("gguf:q5_0", 32, 22), 7: ("gguf:q5_1", 32, 24), 8: ("gguf:q8_0", 32, 34), 9: ("gguf:q8_1", 32, 36),
    10: ("gguf:q2_k", 256, 84), 11: ("gguf:q3_k", 256, 110), 12: ("gguf:q4_k", 256, 144),
    13: ("gguf:q5_k", 256, 176), 14: ("gguf:q6_k", 256, 210), 15: ("gguf:q8_k", 256, 292),
    16: ("gguf:iq2_xxs", 256, 66), 17: ("gguf:iq2_xs", 256, 74), 18: ("gguf:iq3_xxs", 256, 98),
    19: ("gguf:iq1_s", 256, 50), 20: ("gguf:iq4_nl", 32, 18), 21: ("gguf:iq3_s", 256, 110),
    22: ("gguf:iq2_s", 256, 82), 23: ("gguf:iq4_xs", 256, 136), 24: ("int8", 1, 1), 25: ("int16", 1, 2),
    26: ("int32", 1, 4), 27: ("int64", 1, 8), 28: ("float64", 1, 8), 29: ("gguf:iq1_m", 256, 56),
    30: ("bfloat16", 1, 2),
}  # fmt: skip
_GGUF_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_STRING, _GGUF_ARRAY = 8, 9


def read_safetensors(view: memoryview, what: str) -> StateDictIndex:
    """The tensors of a safetensors file, in the order of their data; SourceError when its header is not sound."""
    size = int.from_bytes(view[:8], "little")
    if size > MAX_SAFETENSORS_HEADER:
        raise SourceError(f"{what}: a header of {size} bytes, at most {MAX_SAFETENSORS_HEADER} are allowed", hint=_HINT)
    if len(view) < 8 + size:
        raise SourceError(f"{what} is truncated: its header has {size} bytes, the file {len(view)}", hint=_HINT)
    header = _header(bytes(view[8 : 8 + size]), what)
    metadata = header.pop("__metadata__", {})
    entries = sorted(
        (_entry(key, value, what) for key, value in header.items()), key=lambda entry: (entry[1], entry[2])
    )
    at = 0
    for key, start, end, _ in entries:
        if start != at:
            kind = "overlap" if start < at else "leave a gap"
            raise SourceError(
                f"{what}: the bytes of {key} and of its neighbour {kind} (at {start}, not {at})", hint=_HINT
            )
        at = end
    if at != len(view) - 8 - size:
        raise SourceError(
            f"{what} is truncated or too long: its tensors need {at} bytes, {len(view) - 8 - size} follow the header",
            hint=_HINT,
        )
    texts = {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}
    return StateDictIndex(what, "safetensors", {key: meta for key, _, _, meta in entries}, (), texts)


def _header(data: bytes, what: str) -> dict[str, Any]:
    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{what}: its safetensors header is not sound JSON ({error})", hint=_HINT) from error
    if not isinstance(header, dict):
        raise SourceError(f"{what}: its safetensors header is no object", hint=_HINT)
    return header


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in it")
    return found


def _entry(key: str, value: Any, what: str) -> tuple[str, int, int, TensorMeta]:
    try:
        dtype, shape, (start, end) = value["dtype"], value["shape"], value["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{what}: the header entry of {key!r} is incomplete", hint=_HINT) from error
    integers = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in [*shape, start, end])
    if dtype not in _DTYPES:
        raise SourceError(f"{what}: {key!r} has dtype {dtype!r}, which graphlab does not know")
    nbytes = math.prod(shape) * ITEM_BITS[_DTYPES[dtype]] // 8 if integers else -1
    if not integers or nbytes != end - start:
        raise SourceError(
            f"{what}: {key!r} of shape {shape} and {dtype} cannot have bytes {start} to {end}", hint=_HINT
        )
    return key, start, end, TensorMeta(tuple(shape), _DTYPES[dtype], nbytes)


class _Cursor:
    """Little-endian numbers and strings from the start of a view; SourceError at its end."""

    def __init__(self, view: memoryview, what: str) -> None:
        self.view, self.what, self.at = view, what, 4

    def take(self, count: int) -> memoryview:
        if count < 0 or self.at + count > len(self.view):
            raise SourceError(f"{self.what} is a truncated or damaged GGUF file (at byte {self.at})", hint=_HINT)
        self.at += count
        return self.view[self.at - count : self.at]

    def number(self, layout: str) -> int:
        return int(struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))[0])

    def text(self) -> str:
        return bytes(self.take(self.number("Q"))).decode("utf-8", "replace")

    def count(self, least_bytes: int) -> int:
        """A count of items of at least `least_bytes` each, which must fit the rest of the file."""
        number = self.number("Q")
        if number * least_bytes > len(self.view) - self.at:
            raise SourceError(f"{self.what} claims {number} entries, more than its bytes can hold", hint=_HINT)
        return number


def read_gguf(view: memoryview, what: str) -> StateDictIndex:
    """The tensors of a GGUF file, shapes in torch's order; `metadata` holds its texts and numbers."""
    cursor = _Cursor(view, what)
    version = cursor.number("I")
    if version not in (2, 3):
        raise SourceError(f"{what} is GGUF version {version}, expected 2 or 3", hint="convert it with a newer tool")
    tensors, pairs = cursor.count(24), cursor.count(12)
    metadata: dict[str, str] = {}
    for _ in range(pairs):
        key, kind = cursor.text(), cursor.number("I")
        metadata[key] = _gguf_value(cursor, kind)
    infos = [_gguf_tensor(cursor) for _ in range(tensors)]
    alignment = int(metadata.get("general.alignment", "32") or 32)
    if not 1 <= alignment <= 1 << 20:
        raise SourceError(f"{what} has alignment {alignment}", hint=_HINT)
    start = -(-cursor.at // alignment) * alignment
    for name, meta, offset in infos:
        if start + offset + meta.nbytes > len(view):
            raise SourceError(f"{what} is truncated: the bytes of {name} lie behind its end", hint=_HINT)
    found = {name: meta for name, meta, _ in infos}
    if len(found) != len(infos):
        raise SourceError(f"{what} names a tensor twice", hint=_HINT)
    return StateDictIndex(what, "gguf", found, (), metadata)


def _gguf_value(cursor: _Cursor, kind: int, depth: int = 0) -> str:
    if kind == _GGUF_STRING:
        return cursor.text()[:256]
    if kind == _GGUF_ARRAY and depth < 4:
        inner, count = cursor.number("I"), cursor.count(1)
        if inner in _GGUF_SCALARS:
            cursor.take(_GGUF_SCALARS[inner] * count)
        else:
            for _ in range(count):
                _gguf_value(cursor, inner, depth + 1)
        return f"[{count} values]"
    if kind not in _GGUF_SCALARS:
        raise SourceError(f"{cursor.what} has a GGUF value of unknown type {kind}", hint=_HINT)
    raw = cursor.take(_GGUF_SCALARS[kind])
    return (
        str(struct.unpack("<f" if kind == 6 else "<d", raw)[0])
        if kind in (6, 12)
        else str(int.from_bytes(raw, "little"))
    )


def _gguf_tensor(cursor: _Cursor) -> tuple[str, TensorMeta, int]:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > 8:
        raise SourceError(f"{cursor.what}: {name!r} has {dimensions} dimensions", hint=_HINT)
    shape = tuple(cursor.number("Q") for _ in range(dimensions))[::-1]
    kind, offset = cursor.number("I"), cursor.number("Q")
    if kind not in GGUF_TYPES:
        raise SourceError(f"{cursor.what}: {name!r} has GGUF type {kind}, which graphlab does not know")
    dtype, values, nbytes = GGUF_TYPES[kind]
    if shape and shape[-1] % values:
        raise SourceError(
            f"{cursor.what}: {name!r} of shape {list(shape)} does not fill blocks of {values}", hint=_HINT
        )
    return name, TensorMeta(shape, dtype, math.prod(shape) // values * nbytes), offset
