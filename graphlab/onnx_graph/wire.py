"""A serialised ONNX model without its weights: the bytes of large tensors are skipped where they lie.

A model of two gigabytes is a memory-mapped file of which only the graph is copied, so reading one takes the
memory of its graph; a file that protobuf itself refuses for its size is read all the same. Field numbers are
those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphlab.errors import SourceError
from graphlab.onnx_graph.value import KNOWN_LIMIT

KEPT_BYTES = 10 * KNOWN_LIMIT
"""Bytes of a tensor that are kept: those of every tensor whose values are followed, ten for a number at most (a
negative one in protobuf). Weights are larger, and are not read."""
_DEPTH = 64
_HINT = "fetch or export the file again"


@dataclass(frozen=True, slots=True)
class _Message:
    """What a message type holds: messages to look into, by field, and fields that are dropped where large."""

    inner: Mapping[int, str] = field(default_factory=dict)
    data: frozenset[int] = frozenset()


_MESSAGES: Mapping[str, _Message] = {
    "model": _Message({7: "graph", 25: "function"}),
    "graph": _Message({1: "node", 5: "tensor", 15: "sparse"}),
    "function": _Message({7: "node", 11: "attribute"}),
    "node": _Message({5: "attribute"}),
    "attribute": _Message({5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"}),
    "sparse": _Message({1: "tensor", 2: "tensor"}),
    "tensor": _Message(data=frozenset({4, 5, 6, 7, 9, 10, 11})),
}


def without_weights(view: memoryview, what: str) -> bytes:
    """The ONNX model in `view` with the values of every tensor over KEPT_BYTES left out.

    SourceError, naming `what`, where the bytes are no sound protobuf message.
    """
    return b"".join(_kept(view, "model", what, 0))


def _kept(view: memoryview, kind: str, what: str, depth: int) -> Iterator[bytes | memoryview]:
    if depth > _DEPTH:
        raise SourceError(f"{what} nests graphs {depth} deep", hint=_HINT)
    message, at = _MESSAGES[kind], 0
    while at < len(view):
        number, wire, start, end = _field(view, at, what)
        payload = view[start:end]
        if wire == 2 and len(payload) > KEPT_BYTES and number in message.data:
            at = end
            continue
        if wire == 2 and len(payload) > KEPT_BYTES and number in message.inner:
            parts = list(_kept(payload, message.inner[number], what, depth + 1))
            yield _varint_bytes(number << 3 | 2) + _varint_bytes(sum(map(len, parts)))
            yield from parts
        else:
            yield view[at:end]
        at = end


def _field(view: memoryview, at: int, what: str) -> tuple[int, int, int, int]:
    """(field number, wire type, start, end of the payload) of the field at `at`."""
    key, start = _varint(view, at, what)
    number, wire = key >> 3, key & 7
    if number == 0 or wire not in (0, 1, 2, 5):
        raise SourceError(f"{what} is no sound ONNX model: byte {at} starts no field", hint=_HINT)
    if wire == 0:
        _, end = _varint(view, start, what)
    elif wire == 2:
        length, start = _varint(view, start, what)
        end = start + length
    else:
        end = start + (8 if wire == 1 else 4)
    if end > len(view):
        raise SourceError(f"{what} is truncated: a field ends {end - len(view)} bytes behind its message", hint=_HINT)
    return number, wire, start, end


def _varint(view: memoryview, at: int, what: str) -> tuple[int, int]:
    value = shift = 0
    while at < len(view) and shift < 70:
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise SourceError(f"{what} is truncated or no ONNX model: a number has no end", hint=_HINT)


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
